"""The phase that every program here executes, and its timing.

Two streamed round trips to a model over HTTP: the first answer calls a tool that writes a file, the
second reports completion. Then the file is read and validated against its JSON Schema. Each program
stores its own state in SQLite with `synchronous = FULL`.
"""

import http.client
import json
import os
import sys
import time
import urllib.parse
import uuid

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "../../tests/support/note.schema.json"), encoding="utf-8") as file:
    SCHEMA = jsonschema.Draft202012Validator(json.load(file))

TOOL = {
    "type": "function",
    "function": {
        "name": "write_file",
        "description": "Writes a file.",
        "parameters": {
            "type": "object",
            "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["file_path", "content"],
        },
    },
}


def prompt(run, phase):
    path = f"out/phase-{phase:02}.json"
    return f"Run id: {run}\nPhase key: phase-{phase:02}\nExpected artifact path: {path}\nSay what it is.", path


class Model:
    """Client of the model server, with one persistent connection."""

    def __init__(self, base_url):
        self.url = urllib.parse.urlsplit(base_url)
        self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port)

    def ask(self, messages):
        body = json.dumps({"model": "bench/model", "messages": messages, "stream": True, "tools": [TOOL]}, separators=(",", ":"))
        self.connection.request(
            "POST", self.url.path + "/chat/completions", body, {"Content-Type": "application/json"}
        )
        response = self.connection.getresponse()
        text, calls = "", {}
        for line in response.read().decode().splitlines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            for choice in json.loads(line[6:]).get("choices", []):
                delta = choice.get("delta", {})
                text += delta.get("content") or ""
                for piece in delta.get("tool_calls", []):
                    call = calls.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
                    call["id"] += piece.get("id") or ""
                    call["name"] += piece["function"].get("name") or ""
                    call["arguments"] += piece["function"].get("arguments") or ""
        message = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [
                {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
                for c in calls.values()
            ]
        return message


def write(folder, path, content):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


def check(folder, path):
    with open(os.path.join(folder, path), encoding="utf-8") as file:
        SCHEMA.validate(json.load(file))


def tool_results(folder, message):
    results = []
    for call in message.get("tool_calls", []):
        arguments = json.loads(call["function"]["arguments"])
        write(folder, arguments["file_path"], arguments["content"])
        results.append({"role": "tool", "tool_call_id": call["id"], "content": "written"})
    return results


def measure(one):
    """Executes phases with `one(base_url, folder)(run, phase)`; prints their median wall and mean CPU time."""
    base_url, phases, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    do, run = one(base_url, folder), str(uuid.uuid4())
    for phase in range(3):
        do(run, phase)
    walls, began = [], time.process_time()
    for phase in range(3, 3 + phases):
        at = time.perf_counter()
        do(run, phase)
        walls.append(time.perf_counter() - at)
    cpu = (time.process_time() - began) / phases
    print(json.dumps({"wall_s": sorted(walls)[len(walls) // 2], "cpu_s": cpu}), flush=True)
