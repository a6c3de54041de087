"""Reading image files: one picture, or a folder of pictures per class."""

from __future__ import annotations

import concurrent.futures
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxnn.data._own._labels import ReadResult
from jaxnn.data._split import Split

SIZE, LARGEST = 32, 256
"""Pixels of each side of images that do not have one size in common, or one larger than `LARGEST`."""
THREADS = 4
PARTS = {"train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train"}
PARTS |= {"test": "test", "testing": "test"}
LITTER = {"__MACOSX", "Thumbs.db", "desktop.ini"}
Progress = Callable[[int, int], None]


def read_folder(folder: Path, size: int | None = None, progress: Progress | None = None) -> ReadResult:
    """Read a folder that holds one folder of images per class, or folders train and test that hold these.

    Images may have any format that Pillow reads; they are rotated upright (EXIF) and transparency becomes white. If
    their sizes differ, they are cropped to the central square and resized. They are gray if all are gray, else RGB.
    Gray values of 32 bits and floats share one unit in the whole folder: white is 1 (floats), 255 or 65535, whichever
    is the smallest that no value exceeds. Files are read by threads, photos no larger than needed.

    Args:
        folder: holds a folder named after each class; images may lie in subfolders, also linked ones. Hidden files and
            folders are ignored.
        size: pixels of each side; by default the images' own size if they have one in common of at most `LARGEST`, else
            `SIZE`.
        progress: called with the number of images read so far, and that of all.

    Returns:
        The images uint8[N, H, W, C], classes sorted by name; files that are not images are skipped.

    Raises:
        OSError: there is no such folder.
        ValueError: there are fewer than two classes, or one without images.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    notes: list[str] = []
    parts = {path: PARTS.get(path.name.lower(), "") for path in _visible(folder) if path.is_dir()}
    divided = set(parts.values()) == {"train", "test"}
    roots = list(parts.items()) if divided else [(folder, "train")]
    if divided:
        notes.append(f"the folders {', '.join(path.name for path in parts)} are taken as parts of the data")
    skipped = [f"{path} (in no class's folder)" for path in _visible(folder) if not path.is_dir()] if divided else []
    files: list[tuple[Path, str, str]] = []
    names: set[str] = set()
    for root, part in roots:
        for path in _visible(root):
            if path.is_dir():
                names.add(path.name)
                files += [(file, path.name, part) for file in _walk(path, skipped)]
            else:
                skipped.append(f"{path} (in no class's folder)")
    if len(names) < 2:
        inner = [path for path in _visible(folder) if path.is_dir() and sum(p.is_dir() for p in _visible(path)) > 1]
        hint = f"; did you mean {inner[0]}?" if inner else ""
        raise ValueError(f"{folder} must hold a folder for each class, at least two; it has {len(names)}{hint}")
    total = len(files) + len(skipped)
    with warnings.catch_warnings():  # here, since filters belong to all threads
        warnings.simplefilter("ignore")
        files, shape, white = _examine(files, size, skipped, notes)
        pixels = np.empty((len(files), shape[1], shape[0], 3), np.uint8)

        def read(at: int) -> str:
            try:
                pixels[at] = np.asarray(read_image(files[at][0], shape, white))
            except (OSError, ValueError) as error:
                return str(error)
            return ""

        with concurrent.futures.ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            wrong = []
            for at, error in enumerate(pool.map(read, range(len(files))), start=1):
                wrong.append(error)
                if progress is not None:
                    progress(at, len(files))
    skipped += [error for error in wrong if error]
    kept = np.array([at for at, error in enumerate(wrong) if not error], int)
    classes = tuple(sorted(names))
    labels = np.array([classes.index(files[at][1]) for at in kept], np.int32)
    if missing := sorted(names - {classes[label] for label in labels}):
        raise ValueError(f"{folder / missing[0]} has no image that Pillow can read: remove it, or add some")
    pixels = pixels[kept] if len(kept) < len(pixels) else pixels
    if all((rows == rows[..., :1]).all() for rows in np.array_split(pixels, 1 + len(pixels) // 1000)):
        pixels = np.ascontiguousarray(pixels[..., :1])
    test = np.array([files[at][2] == "test" for at in kept], bool)
    examples = Split(pixels[~test], labels[~test]) if divided else Split(pixels, labels)
    about = {} if white is None else {"white": white}
    held = Split(pixels[test], labels[test]) if divided else None
    return ReadResult(classes, examples, held, tuple(skipped), total, tuple(notes), about)


def read_image(path: Path | BinaryIO, size: tuple[int, int] | None = None, white: float | None = None) -> Image.Image:
    """Read an image of any format as 8-bit RGB, rotated upright (EXIF), with transparency as white.

    Args:
        path: the file, or its content as an open one.
        size: width and height: the image is cropped to their ratio about its center and resized.
        white: the value of white in gray images of 32 bits and of floats; by default 1 (floats), 255 or 65535,
            whichever is the smallest that no value exceeds.

    Returns:
        An image of mode RGB.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is not an image, is damaged, or is too large.
    """
    if isinstance(path, Path) and not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        try:
            return _open(path, size, white)
        except (OSError, ValueError, SyntaxError) as error:
            content = path.read_bytes() if isinstance(path, Path) else b""
            if not content.startswith(b"\x89PNG") or isinstance(error, _TooLarge):
                raise
            return _open(io.BytesIO(_without_metadata(content)), size, white)
    except (_TooLarge, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} has too many pixels to be opened safely: make it smaller ({error})") from error
    except Exception as error:  # for a damaged file, Pillow's readers raise errors of many types
        raise ValueError(f"{path} is not an image that Pillow can read, or is damaged ({error})") from error


class _TooLarge(ValueError):
    pass


def _open(path: Path | BinaryIO, size: tuple[int, int] | None, white: float | None) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata
        with Image.open(path) as file:
            if Image.MAX_IMAGE_PIXELS and file.width * file.height > Image.MAX_IMAGE_PIXELS:
                raise _TooLarge(f"{file.width} x {file.height}, at most {Image.MAX_IMAGE_PIXELS:,}")
            if size is not None:
                file.draft(None, (2 * max(size), 2 * max(size)))  # JPEG: decodes only about so many pixels
            file.load()
            image = _eight_bits(file, white)
            turn = _orientation(file)
    if image.mode not in ("L", "RGB"):
        clear = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
        image = image.convert("RGBA" if clear else "RGB")
    if turn is not None:
        image = image.transpose(turn)
    if size is not None and image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _orientation(image: Image.Image) -> Any:
    """How to turn the image upright; None also if its metadata cannot be read."""
    turns = Image.Transpose
    known = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE}
    known |= {6: turns.ROTATE_270, 7: turns.TRANSVERSE, 8: turns.ROTATE_90}
    try:
        return known.get(image.getexif().get(0x0112, 1))
    except Exception:  # whatever stands there, the pixels are fine
        return None


def _eight_bits(image: Image.Image, white: float | None) -> Image.Image:
    """Gray images of 16 or 32 bits or floats with values of 8 bits; others as they are."""
    if not _is_deep(image):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    if image.mode not in ("I", "F") or image.format == "PPM":
        white = 65535.0
    elif white is None:
        white = _white(image.mode, float(values.max(initial=0)))
    return Image.fromarray(np.round(255 * (values / white).clip(0, 1)).astype(np.uint8))


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _white(mode: str, most: float) -> float:
    """The smallest usual maximum that no value exceeds."""
    return next((top for top in ((1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)) if most <= top), most)


def _examine(
    files: list[tuple[Path, str, str]], size: int | None, skipped: list[str], notes: list[str]
) -> tuple[list[tuple[Path, str, str]], tuple[int, int], float | None]:
    """The files that are images, the size to read them in, and the white of gray images of 32 bits and floats."""
    kept, sizes, modes, most = [], set(), set(), 0.0
    for file in files:
        try:
            with Image.open(file[0]) as image:
                turned = _orientation(image) in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)
                sizes.add(image.size[::-1] if turned else image.size)
                if image.mode in ("I", "F") and image.format != "PPM":
                    modes.add(image.mode)
                    most = max(most, float(np.nan_to_num(np.asarray(image)).max(initial=0)))
        except Exception as error:
            if not file[0].read_bytes().startswith(b"\x89PNG"):  # which `read_image` tries harder to read
                why = "" if isinstance(error, UnidentifiedImageError) else f": {error}"
                skipped.append(f"{file[0]} (not an image that Pillow can read{why})")
                continue
        kept.append(file)
    white = _white("F" if modes == {"F"} else "I", most) if modes else None
    if size is None and len(sizes) == 1:
        if max(only := next(iter(sizes))) <= LARGEST:
            return kept, only, white
        notes.append(f"the images are resized to {SIZE} x {SIZE} pixels; image_size (--image-size) changes that")
    return kept, (size or SIZE, size or SIZE), white


def _visible(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.name not in LITTER]


def _walk(folder: Path, skipped: list[str]) -> Iterator[Path]:
    """All files below a folder, through links; hidden ones are left out, and what is no file is noted in `skipped`."""
    seen = {os.path.realpath(above) for above in folder.absolute().parents}
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            skipped.append(f"{place} (a link to a folder above it, or read already)")
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LITTER)
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".") and name not in LITTER):
            if path.is_file():
                yield path
            else:
                skipped.append(f"{path} ({'a link to nothing' if path.is_symlink() else 'not a file'})")


def _without_metadata(png: bytes) -> bytes:
    """A PNG file with the chunks alone that hold pixels."""
    kept, at = [png[:8]], 8
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"):
            kept.append(png[at:end])
        at = end
    return b"".join(kept)
