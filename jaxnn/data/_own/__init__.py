"""The user's own data: folders of images, tables and arrays, read as they are."""
