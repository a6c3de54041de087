"""A test split that nothing may read."""


class Unread:
    """Inputs of which only the size may be asked for."""

    shape = (1, 2)

    def __len__(self):
        return self.shape[0]

    def __getattr__(self, name):
        raise AssertionError(f"test examples were touched: {name}")

    def __getitem__(self, rows):
        raise AssertionError("test examples were touched: []")

    def __iter__(self):
        raise AssertionError("test examples were touched: iter")


class Forbidden(Unread):
    """A split with such inputs, and without labels."""

    inputs = Unread()

    def __len__(self):
        raise AssertionError("test examples were touched: len")


def forbid_test_examples(patch):
    """What is loaded has such a test split while validation examples are held out."""
    from experiments.classifier import data

    load = data.load

    def load_without_test(name, **options):
        dataset = load(name, **options)
        return dataset._replace(test=Forbidden()) if options["validation_share"] else dataset

    patch.setattr(data, "load", load_without_test)
