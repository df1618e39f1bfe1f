"""XML that is the same bytes each time: elements in order, names as they are written, indented by one space."""

from xml.etree import ElementTree as ET

Element = ET.Element


def element(name: str, *inside: "Element | str | int", **attributes: str) -> Element:
    """Return an element with elements or text inside."""
    made = Element(name, attributes)
    for one in inside:
        if isinstance(one, Element):
            made.append(one)
        else:
            made.text = f"{one}"
    return made


def document(root: Element) -> bytes:
    """Return a document in UTF-8."""
    ET.indent(root, " ")
    octets: bytes = ET.tostring(root, encoding="utf-8", short_empty_elements=True)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + octets + b"\n"
