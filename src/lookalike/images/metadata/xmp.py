"""Read title, description and keywords from an XMP packet (ISO 16684-1): Dublin Core in RDF."""

from __future__ import annotations

from xml.etree import ElementTree

from lookalike.images.metadata.facts import EmbeddedText, clean_text

DUBLIN_CORE = b"http://purl.org/dc/elements/1.1/"

_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def read_xmp(packet: bytes) -> EmbeddedText:
    """Return the texts of a packet.

    A packet with a document type is ignored, because it could define entities that expand without
    limit. Most packets that cameras write have no Dublin Core and are not parsed at all.
    """
    if DUBLIN_CORE not in packet:
        return EmbeddedText()
    text = packet.decode("utf-8").lstrip("\ufeff").strip("\x00 \r\n\t")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return EmbeddedText()
    root = ElementTree.fromstring(text)  # noqa: S314 - without a document type there are no entities
    return EmbeddedText(
        title=next(iter(_items(root, "title")), ""),
        description=next(iter(_items(root, "description")), ""),
        keywords=tuple(_items(root, "subject")),
    )


def _items(root: ElementTree.Element, name: str) -> list[str]:
    """Return the items of a property; of alternatives the default language comes first."""
    items: list[tuple[bool, str]] = []
    for element in root.iter(_DC + name):
        # Only the items of its own list: searching the whole subtree of nested properties takes
        # quadratic time.
        inner = element.findall(f"*/{_RDF}li") or [element]
        for item in inner:
            language = item.get("{http://www.w3.org/XML/1998/namespace}lang", "x-default")
            items.append((language != "x-default", clean_text(item.text or "")))
    # A simple value may be an attribute.
    simple = (element.get(_DC + name, "") for element in root.iter(_RDF + "Description"))
    items += [(False, clean_text(text)) for text in simple]
    return [text for _, text in sorted(items, key=lambda item: item[0]) if text]
