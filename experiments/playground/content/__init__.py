"""What both forms of the page say and show: texts in two languages, colors, presets."""
