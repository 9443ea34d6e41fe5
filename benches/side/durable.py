"""The phase as a DBOS workflow on SQLite; each action is a step."""

import os
import sqlite3

from dbos import DBOS

import phase


def one(base_url, folder):
    model = phase.Model(base_url)
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{os.path.join(folder, 'dbos.db')}",
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    def ask(messages):
        return model.ask(messages)

    @DBOS.step()
    def tools(message):
        return phase.tool_results(folder, message)

    @DBOS.step()
    def check(path):
        phase.check(folder, path)

    @DBOS.workflow()
    def work(words, path):
        messages = [{"role": "user", "content": words}]
        while True:
            messages.append(ask(messages))
            results = tools(messages[-1])
            if not results:
                return check(path)
            messages += results

    DBOS.launch()

    def do(run, number):
        work(*phase.prompt(run, number))

    return do


phase.measure(one)
os._exit(0)
