"""Pictures that a page's reader can ask: hovered, switched, scaled and taken away."""
