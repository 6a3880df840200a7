"""Faces: what people see. Server-rendered pages, own CSS, three tiny scripts, all words in `texts.json`."""
