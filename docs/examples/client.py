"""A client of Program Explorer's HTTP API: sorts the lines of a file in a machine
of its own, and leaves them in sorted.txt.

    python3 client.py FILE      # PE_SERVER and PE_TOKEN are as for pe
"""

import base64
import hashlib
import http.client
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request

SERVER = os.environ.get("PE_SERVER", "http://127.0.0.1:7300")


def call(method, path, body=None, headers=None):
    """The open answer; urllib.error.HTTPError if it is a problem document."""
    headers = dict(headers or {})
    if os.environ.get("PE_TOKEN"):
        headers["Authorization"] = "Bearer " + os.environ["PE_TOKEN"]
    request = urllib.request.Request(SERVER + path, data=body, method=method, headers=headers)
    return urllib.request.urlopen(request, timeout=60)


def submit(spec, blobs):
    """Submits a job; blobs are the contents by digest, sent if the gateway misses them."""
    body = json.dumps(spec).encode()
    try:
        return post(body)
    except urllib.error.HTTPError as refused:
        problem = json.load(refused)
        if not problem.get("missing"):
            sys.exit(f"{problem['title']}: {problem.get('detail', '')}")
    for digest in problem["missing"]:
        call("PUT", "/v1/blobs/" + digest.removeprefix("sha256:"), blobs[digest]).close()
    return post(body)


def post(body):
    with call("POST", "/v1/jobs", body, {"Content-Type": "application/json"}) as answer:
        return json.load(answer)


def follow(job):
    """Yields a job's events until its end. A stream that breaks off is taken up again."""
    last = None
    while True:
        headers = {"Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        try:
            with call("GET", f"/v1/jobs/{job}/logs", headers=headers) as stream:
                for event in events(stream):
                    last = event["id"]
                    yield event["event"], json.loads(event["data"])
                    if event["event"] == "end":
                        return
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(1)


def events(stream):
    """Takes a text/event-stream apart: the fields of each event that has data."""
    event = {}
    for line in stream:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            event[name] = value
            continue
        if "data" in event:
            yield event
        event = {}


def main(path):
    with open(path, "rb") as file:
        content = file.read()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    job = submit(
        {
            "image": "busybox",
            "files": {"in.txt": {"sha256": digest}},
            "args": ["sh", "-c", "wc -l <in.txt && sort in.txt >/output/sorted.txt"],
        },
        {digest: content},
    )
    for kind, data in follow(job["id"]):
        if kind in ("stdout", "stderr"):
            text = data["text"].encode() if "text" in data else base64.b64decode(data["base64"])
            getattr(sys, kind).buffer.write(text)
        elif kind == "end" and data["state"] != "succeeded":
            sys.exit(f"job {job['id']} ended as {data['state']}")
    with call("GET", f"/v1/jobs/{job['id']}/outputs/sorted.txt") as output, open("sorted.txt", "wb") as file:
        shutil.copyfileobj(output, file)


if __name__ == "__main__":
    main(sys.argv[1])
