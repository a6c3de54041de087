"""What every lesson is built on: claims and findings, figures with sliders, exercises, data, searches over rates."""
