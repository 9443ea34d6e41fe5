"""The phase in plain Python: http.client, sqlite3 with six commits, schema validation."""

import json
import os
import sqlite3

import phase


def one(base_url, folder):
    model = phase.Model(base_url)
    rows = sqlite3.connect(os.path.join(folder, "bare.db"), isolation_level=None)
    rows.executescript(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = full;"
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT;"
    )

    def keep(what):
        rows.execute("INSERT INTO events (payload) VALUES (?)", (json.dumps(what),))

    def do(run, number):
        words, path = phase.prompt(run, number)
        messages = [{"role": "user", "content": words}]
        keep({"phase": number, "prompt": words})
        message = model.ask(messages)
        keep(message)
        messages += [message] + phase.tool_results(folder, message)
        keep(messages[-1])
        keep({"asked": 2})
        message = model.ask(messages)
        keep(message)
        phase.check(folder, path)
        keep({"done": number})

    return do


phase.measure(one)
