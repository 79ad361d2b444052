"""Write fields into an XMP packet; what others wrote there stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from lookalike.images.metadata.read_metadata import sidecar_fields
from lookalike.images.metadata.xmp import packet_text, read_xmp

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_LR = "http://ns.adobe.com/lightroom/1.0/"

PROPERTIES: Mapping[str, tuple[str, str, str]] = {
    "title": (_DC, "dc:title", "Alt"),
    "caption": (_DC, "dc:description", "Alt"),
    "keywords": (_DC, "dc:subject", "Bag"),
    "people": (_EXT, "Iptc4xmpExt:PersonInImage", "Bag"),
    "hierarchical_keywords": (_LR, "lr:hierarchicalSubject", "Bag"),
    "rating": (_XMP, "xmp:Rating", ""),
    "color_label": (_XMP, "xmp:Label", ""),
}
"""Namespace, name and kind of list ("": a simple value) of the fields that are written."""

EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{_RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def exported_fields(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an image's metadata XMP has a place for. Tags are keywords."""
    keywords = [*_texts(metadata.get("keywords")), *_texts(metadata.get("tags"))]
    fields: dict[str, Any] = {
        name: list(dict.fromkeys(_texts(metadata.get(name))))
        for name in ("people", "hierarchical_keywords")
    }
    fields["keywords"] = list(dict.fromkeys(keywords))
    for name in ("title", "caption", "color_label"):
        value = metadata.get(name)
        fields[name] = value.strip() if isinstance(value, str) else ""
    rating = metadata.get("rating")
    valid = isinstance(rating, int | float) and not isinstance(rating, bool)
    fields["rating"] = rating if valid and -1 <= (rating or 0) <= 5 else None
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def write_xmp(
    packet: bytes | None, fields: Mapping[str, Any], *, replace: bool = False
) -> tuple[bytes | None, bool]:
    """Return a packet with these fields (`exported_fields`), and whether it has other values that stayed.

    The packet is None if the existing one says all that already.

    packet   an existing one: lists get the items that they lack, and everything else in it stays
    replace  single values (title, caption, rating, colour label) are replaced where they differ

    Raises ValueError where the existing packet cannot be read: it is not replaced.
    """
    known = {} if packet is None else sidecar_fields(packet)
    description = read_xmp(packet).text.description if packet else ""
    wanted, kept = {}, False
    for name, value in fields.items():
        if isinstance(value, list):
            if more := [item for item in value if item not in known.get(name, [])]:
                wanted[name] = more
        elif value != known.get(name) and (name != "caption" or value != description):
            present = description if name == "caption" else name in known
            if replace or not present:
                wanted[name] = value
            else:
                kept = True
    if not wanted:
        return None, kept
    try:
        document = minidom.parseString((packet_text(packet) if packet else EMPTY).encode())  # noqa: S318
        descriptions = document.getElementsByTagNameNS(_RDF, "Description")
        top = next((one for one in descriptions if _is_top(one)), None)
        if top is None:
            raise ValueError("it has no rdf:Description")
        for name, value in wanted.items():
            _set(document, top, *PROPERTIES[name], value)
        return "".join(node.toxml() for node in document.childNodes).encode(), kept
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ExpatError as error:
        raise ValueError(f"not XMP: {error}") from None


def _is_top(element: minidom.Element) -> bool:
    parent = element.parentNode
    return parent is not None and parent.localName == "RDF"


def _set(
    document: minidom.Document,
    top: minidom.Element,
    namespace: str,
    qualified: str,
    kind: str,
    value: Any,
) -> None:
    """Add items to a property's list, or replace its single value."""
    local = qualified.partition(":")[2]
    found = [one for one in document.getElementsByTagNameNS(namespace, local) if _in_top(one)]
    lists = [one for one in _elements(found[0]) if one.namespaceURI == _RDF] if found else []
    if kind and lists:
        container = lists[0]
        for item in _elements(container) if kind == "Alt" else ():
            if item.getAttribute("xml:lang") in ("", "x-default"):
                container.removeChild(item)
    else:
        for old in found:
            assert old.parentNode is not None
            old.parentNode.removeChild(old)
        for one in document.getElementsByTagNameNS(_RDF, "Description"):
            if one.hasAttributeNS(namespace, local):
                one.removeAttributeNS(namespace, local)
        container = _child(document, top, namespace, qualified)
        if kind:
            container = _child(document, container, _RDF, f"rdf:{kind}")
    if not kind:
        container.appendChild(document.createTextNode(_plain(value)))
        return
    for item in value if isinstance(value, list) else [value]:
        element = _child(document, container, _RDF, "rdf:li")
        if kind == "Alt":
            element.setAttribute("xml:lang", "x-default")
        element.appendChild(document.createTextNode(_plain(item)))


def _child(
    document: minidom.Document, parent: minidom.Element, namespace: str, qualified: str
) -> minidom.Element:
    """Append an element; it declares its prefix, except RDF's, whatever the packet calls the namespace."""
    prefix, _, local = qualified.partition(":")
    if namespace == _RDF:
        root = document.getElementsByTagNameNS(_RDF, "RDF")[0]
        element = document.createElementNS(
            namespace, f"{root.prefix}:{local}" if root.prefix else local
        )
    else:
        element = document.createElementNS(namespace, qualified)
        element.setAttribute(f"xmlns:{prefix}", namespace)
    parent.appendChild(element)
    return element


def _in_top(element: minidom.Element) -> bool:
    parent = element.parentNode
    return isinstance(parent, minidom.Element) and _is_top(parent)


def _elements(parent: minidom.Element) -> list[minidom.Element]:
    return [node for node in parent.childNodes if isinstance(node, minidom.Element)]


def _texts(value: object) -> Sequence[str]:
    several = value if isinstance(value, list | tuple) else [value]
    return [one.strip() for one in several if isinstance(one, str) and one.strip()]


def _plain(value: object) -> str:
    """Return a value without characters that XML cannot hold."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
