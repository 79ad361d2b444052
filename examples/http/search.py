"""Search a served library with an image, and get its vector; needs nothing but Python.

python search.py http://127.0.0.1:8484 cat.jpg
"""

import base64
import json
import sys
import urllib.request
from pathlib import Path


def post(address: str, body: bytes, kind: str) -> dict:
    """Send a body and return the JSON of the answer."""
    headers = {"Content-Type": kind}  # with a token: "Authorization": f"Bearer {token}"
    request = urllib.request.Request(address, body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


server, image = sys.argv[1], Path(sys.argv[2]).read_bytes()
name = post(f"{server}/api/uploads", image, "application/octet-stream")["upload"]
query = {"upload": [name], "k": 3}
for hit in post(f"{server}/api/search", json.dumps(query).encode(), "application/json")["hits"]:
    print(hit["path"])
body = {"images": [base64.b64encode(image).decode()]}
made = post(f"{server}/api/embed", json.dumps(body).encode(), "application/json")
print(made["extractor"], made["dim"])
