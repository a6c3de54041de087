import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxnn.data import augment


def random_images(shape: tuple[int, ...] = (6, 8, 7, 3), dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def numbered(count: int, height: int, width: int) -> np.ndarray:
    """The same image many times, in which the value of a pixel tells its place."""
    return np.tile(np.arange(height * width, dtype=np.float32).reshape(1, height, width, 1), (count, 1, 1, 1))


def windows(image: np.ndarray, padding: int) -> list[np.ndarray]:
    """Every window that crop may cut from one image, by row then column, with NumPy's reflection."""
    height, width, _ = image.shape
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    places = range(2 * padding + 1)
    return [padded[top : top + height, left : left + width] for top in places for left in places]


def mixed_images(key: jax.Array, images: np.ndarray) -> jax.Array:
    return augment.mixup(key, images).images


FUNCTIONS = (augment.flip, augment.crop, augment.cutout, augment.affine, mixed_images)
SAME_DTYPE = FUNCTIONS[:4]
COMPILED = {function: jax.jit(function) for function in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_key_decides_and_jit_changes_nothing(function):
    images = random_images((16, 9, 9, 3))
    once = function(jax.random.key(1), images)
    compiled = COMPILED[function]
    np.testing.assert_allclose(compiled(jax.random.key(1), images), once, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(function(jax.random.key(1), images), once)
    np.testing.assert_array_equal(function(jax.random.PRNGKey(1), images), once)  # an old-style key
    assert not np.array_equal(compiled(jax.random.key(2), images), once)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_vmap_over_keys_is_a_loop_over_keys(function):
    images = random_images((16, 9, 9, 3))
    keys = jax.random.split(jax.random.key(0), 4)
    together = jax.jit(jax.vmap(function, (0, None)))(keys, jnp.asarray(images))
    for key, one in zip(keys, together, strict=True):
        np.testing.assert_allclose(one, COMPILED[function](key, images), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("function", SAME_DTYPE)
def test_examples_are_decided_one_by_one(function):
    same = np.tile(random_images((1, 16, 16, 1)), (64, 1, 1, 1))
    distinct = len(np.unique(np.asarray(function(jax.random.key(0), same)).reshape(64, -1), axis=0))
    assert distinct == 2 if function is augment.flip else distinct > 25


@pytest.mark.parametrize("function", SAME_DTYPE)
@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(8, 11), st.integers(8, 11), st.integers(1, 4)),
    dtype=st.sampled_from([np.uint8, np.float32, np.float16]),
)
def test_shape_and_dtype_stay(function, shape, dtype):
    changed = jax.eval_shape(function, jax.random.key(0), random_images(shape, dtype))
    assert changed.shape == shape
    assert changed.dtype == dtype


def test_flip_mirrors_about_half_and_leaves_the_rest():
    images = random_images((4000, 2, 3, 1))
    images[:, 0, 0], images[:, 0, 2] = 0, 1  # no image is its own mirror
    flipped = np.asarray(augment.flip(jax.random.key(3), images))
    mirrored = (flipped == np.flip(images, axis=2)).all(axis=(1, 2, 3))
    kept = (flipped == images).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all()
    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
    assert abs(np.corrcoef(mirrored[:-1], mirrored[1:])[0, 1]) < 4 / np.sqrt(4000)


@pytest.mark.parametrize(("height", "width", "padding"), [(6, 5, 2), (5, 8, 4), (4, 4, 0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crop_cuts_windows_of_the_reflected_image(height, width, padding, dtype):
    images = random_images((30, height, width, 3), dtype)
    for image, cropped in zip(images, np.asarray(augment.crop(jax.random.key(0), images, padding)), strict=True):
        assert any(np.array_equal(cropped, window) for window in windows(image, padding))


def test_crop_offsets_are_uniform_and_independent():
    images = numbered(6000, 5, 5)
    cropped = np.asarray(augment.crop(jax.random.key(1), images, 2)).reshape(6000, -1)
    places = {window.tobytes(): i for i, window in enumerate(windows(images[0], 2))}
    assert len(places) == 25
    counts = np.bincount([places[row.tobytes()] for row in cropped], minlength=25)
    chi_squared = ((counts - 240) ** 2 / 240).sum()
    assert chi_squared < 51.2  # the 0.1 % point of chi-squared with 24 degrees of freedom


def test_crop_is_the_same_where_it_gathers(monkeypatch):
    images, key = random_images((12, 10, 9, 3)), jax.random.key(5)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *arrays, cpu, default: default(*arrays))
    gathered = augment.crop(key, images, 3)  # of a shape that no other test has compiled
    monkeypatch.undo()
    looped = augment.crop(key, np.concatenate([images[:, :, :, :2], images], axis=-1), 3)
    np.testing.assert_array_equal(gathered, looped[..., 2:])


@pytest.mark.parametrize("size", [2, 5])
def test_cutout_hides_one_square_around_a_uniform_center(size):
    height, width, count = 6, 5, 6000
    hidden = np.asarray(augment.cutout(jax.random.key(2), np.ones((count, height, width, 2), np.float32), size)) == 0
    np.testing.assert_array_equal(hidden[..., 0], hidden[..., 1])
    squares = {}
    for row in range(height):
        for column in range(width):
            top, left = row - size // 2, column - size // 2
            square = np.zeros((height, width), bool)
            square[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = True
            squares[square.tobytes()] = squares.get(square.tobytes(), 0) + 1
    seen = dict.fromkeys(squares, 0)
    for square in hidden[..., 0]:
        seen[square.tobytes()] += 1  # any other shape is a KeyError
    for key, centers in squares.items():
        expected = count * centers / (height * width)
        assert abs(seen[key] - expected) < 5 * np.sqrt(expected)


def test_cutout_of_an_inner_square_has_its_size():
    hidden = np.asarray(augment.cutout(jax.random.key(0), np.ones((200, 20, 20, 1), np.float32), 8)) == 0
    areas = hidden.sum(axis=(1, 2, 3))
    assert areas.max() == 64
    assert areas.min() >= 16
    assert (areas < 64).any()


@pytest.mark.parametrize(
    ("fill", "dtype", "expected"),
    [
        (0, np.uint8, [0, 0, 0]),
        (np.array([125.3, 122.95, 113.5]), np.uint8, [125, 123, 114]),
        (np.array([-3.0, 300.0, 7.0], np.float32), np.uint8, [0, 255, 7]),
        (np.full((8, 8, 3), [1.0, 2.0, 3.0]), np.uint8, [1, 2, 3]),
        (0.5, np.float32, [0.5, 0.5, 0.5]),
        (np.array([-1.5, 0.0, 2.25], np.float32), np.float32, [-1.5, 0.0, 2.25]),
    ],
)
def test_cutout_fill(fill, dtype, expected):
    images = np.full((20, 8, 8, 3), 77, dtype)
    cut = np.asarray(augment.cutout(jax.random.key(0), images, 4, fill))
    hidden = (cut != 77).any(axis=-1)
    assert (hidden.sum(axis=(1, 2)) > 0).all()
    np.testing.assert_array_equal(cut[hidden], np.tile(np.asarray(expected, dtype), (int(hidden.sum()), 1)))


def transforms(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M [N, 2, 2] and t [N, 2] of images whose channels 0 and 1 were the row and the column of each pixel."""
    side = images.shape[1]
    place = np.moveaxis(np.mgrid[:side, :side], 0, -1) - (side - 1) / 2
    found = []
    for image in images[..., :2].astype(np.float64):
        inside = ((image > 1e-3) & (image < side - 1 - 1e-3)).all(-1)  # there, bilinear values of a plane are exact
        design = np.concatenate([place[inside], np.ones((inside.sum(), 1))], axis=1)
        found.append(np.linalg.lstsq(design, image[inside] - (side - 1) / 2, rcond=None)[0].T)
    return np.array(found)[..., :2], np.array(found)[..., 2]


def test_affine_is_scipys_transform_by_a_drawn_rotation_scale_shear_and_shift():
    side, count = 16, 400
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    noise = np.random.default_rng(0).uniform(0, 1, (side, side)).astype(np.float32)
    images = np.tile(np.stack([rows, columns, noise], -1), (count, 1, 1, 1))
    moved = np.asarray(augment.affine(jax.random.key(0), images, degrees=20, zoom=0.2, shear=0.15, shift=0.1))
    matrices, shifts = transforms(moved)
    middle = np.full(2, (side - 1) / 2)
    for image, matrix, shift in zip(moved[:50], matrices, shifts, strict=False):
        offset = middle + shift - matrix @ middle
        expected = ndimage.affine_transform(noise.astype(np.float64), matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(image[..., 2], expected, atol=1e-4)
    angle = np.arctan2(-matrices[:, 0, 1], matrices[:, 1, 1])
    stretch = np.linalg.norm(matrices[:, :, 1], axis=1)
    turned = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
    shear = turned @ matrices / stretch[:, None, None]
    np.testing.assert_allclose(shear[:, 0], np.tile([1.0, 0.0], (count, 1)), atol=1e-4)
    drawn = [np.rad2deg(angle) / 20, np.log(stretch) / np.log(1.2), shear[:, 1, 0] / 0.15, *(shifts.T / 1.6)]
    for values in drawn:
        assert np.abs(values).max() < 1 + 1e-3
        assert values.min() < -0.9
        assert values.max() > 0.9
        assert abs(values.mean()) < 4 / np.sqrt(3 * count)
    assert np.abs(np.corrcoef(drawn) - np.eye(5)).max() < 4 / np.sqrt(count)


def test_affine_without_amounts_is_the_identity_and_rounds_bytes():
    images = random_images((6, 8, 7, 3))
    np.testing.assert_array_equal(augment.affine(jax.random.key(0), images, 0, 0, 0, 0), images)
    exact = np.asarray(augment.affine(jax.random.key(0), images.astype(np.float32)))
    np.testing.assert_array_equal(augment.affine(jax.random.key(0), images), np.round(exact))


def test_mixup_is_the_formula_in_float64_for_any_alpha():
    images = random_images((9, 4, 3, 2))
    traces = []
    mix = jax.jit(lambda *arguments: traces.append(arguments) or augment.mixup(*arguments))
    for alpha in (1.0, 1e-3, 30.0):  # traced: nothing compiles again
        mixed = mix(jax.random.key(4), images, alpha)
        weight, partner = float(mixed.weight), np.asarray(mixed.partner)
        assert mixed.images.dtype == mixed.weight.dtype == jnp.float32
        assert mixed.partner.dtype == jnp.int32
        assert mixed.weight.shape == ()
        assert sorted(partner.tolist()) == list(range(9))
        for i, image in enumerate(np.asarray(mixed.images)):
            expected = weight * images[i].astype(np.float64) + (1 - weight) * images[partner[i]].astype(np.float64)
            np.testing.assert_allclose(image, expected, rtol=1e-5, atol=1e-4)
    assert len(traces) == 1


def test_mixup_weights_follow_the_beta_distribution_and_partners_are_uniform():
    images = np.zeros((4, 1, 1, 1), np.float32)
    keys = jax.random.split(jax.random.key(0), 4000)
    mix = jax.jit(jax.vmap(lambda key, alpha: augment.mixup(key, images, alpha)[1:], (0, None)))
    for alpha in (0.2, 1.0, 4.0, 1e-3):
        partners, weights = (np.asarray(values, np.float64) for values in mix(keys, alpha))
        variance = 1 / (4 * (2 * alpha + 1))
        assert ((weights >= 0) & (weights <= 1)).all()
        assert abs(weights.mean() - 0.5) < 4 * np.sqrt(variance / 4000)
        np.testing.assert_allclose(weights.var(), variance, rtol=0.1)  # which nan is not
        counts = np.stack([(partners == k).sum(axis=0) for k in range(4)])
        assert np.abs(counts - 1000).max() < 5 * np.sqrt(750)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("shape", "dtype", "error", "message"),
    [
        ((8, 8, 3), jnp.uint8, ValueError, r"shape \(8, 8, 3\), expected \[B, H, W, C\]"),
        ((2, 192), jnp.uint8, ValueError, r"shape \(2, 192\)"),
        ((2, 2, 8, 8, 3), jnp.uint8, ValueError, r"shape \(2, 2, 8, 8, 3\).*vmap"),
        ((0, 8, 8, 3), jnp.uint8, ValueError, r"shape \(0, 8, 8, 3\)"),
        ((2, 0, 8, 3), jnp.uint8, ValueError, r"shape \(2, 0, 8, 3\)"),
        ((2, 8, 8, 3), jnp.int32, TypeError, "int32, expected uint8 or float"),
        ((2, 8, 8, 3), jnp.bool_, TypeError, "bool, expected uint8 or float"),
    ],
)
def test_bad_images(compiled, function, shape, dtype, error, message):
    with pytest.raises(error, match=message):
        (jax.jit(function) if compiled else function)(jax.random.key(0), jnp.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (augment.crop, {"padding": -1}, ValueError, "padding is -1, expected 0 to 6"),
        (augment.crop, {"padding": 7}, ValueError, "padding is 7, expected 0 to 6"),
        (augment.crop, {"padding": 2.0}, TypeError, r"padding is 2\.0"),
        (augment.crop, {"padding": True}, TypeError, "padding is True"),
        (augment.cutout, {"size": 0}, ValueError, "size is 0, expected 1 to 7"),
        (augment.cutout, {"size": 8}, ValueError, "size is 8, expected 1 to 7"),
        (augment.cutout, {"size": "4"}, TypeError, "size is '4'"),
        (augment.cutout, {"size": 4, "fill": np.zeros(4)}, ValueError, r"fill has shape \(4,\), expected .*\(3,\)"),
        (augment.cutout, {"size": 4, "fill": np.zeros((7, 8, 3))}, ValueError, r"fill has shape \(7, 8, 3\)"),
        (augment.affine, {"degrees": -1}, ValueError, "degrees is -1, expected a finite number"),
        (augment.affine, {"zoom": np.inf}, ValueError, "zoom is inf"),
        (augment.affine, {"shear": np.nan}, ValueError, "shear is nan"),
        (augment.affine, {"shift": -0.1}, ValueError, r"shift is -0\.1"),
        (augment.mixup, {"alpha": 0.0}, ValueError, r"alpha is 0\.0, expected one finite number above 0"),
        (augment.mixup, {"alpha": -1}, ValueError, "alpha is -1"),
        (augment.mixup, {"alpha": np.nan}, ValueError, "alpha is nan"),
        (augment.mixup, {"alpha": np.inf}, ValueError, "alpha is inf"),
        (augment.mixup, {"alpha": np.ones(2)}, ValueError, "alpha is array"),
    ],
)
def test_bad_arguments(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(jax.random.key(0), random_images((2, 8, 7, 3)), **arguments)


def test_traced_sizes_are_refused_with_a_reason():
    images = random_images((2, 8, 7, 3))
    with pytest.raises(TypeError, match=r"padding is .* known before tracing"):
        jax.jit(augment.crop)(jax.random.key(0), images, 2)
