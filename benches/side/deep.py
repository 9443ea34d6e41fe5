"""The phase with a deepagents agent, its SQLite saver, files on disk, and the OpenAI client."""

import os
import sqlite3

from deepagents import create_deep_agent
from deepagents.backends import FilesystemBackend
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite import SqliteSaver

import phase


def one(base_url, folder):
    model = ChatOpenAI(
        base_url=base_url, api_key="none", model="bench/model", streaming=True, max_retries=0, use_responses_api=False
    )
    rows = sqlite3.connect(os.path.join(folder, "deep.db"), check_same_thread=False)
    rows.execute("PRAGMA synchronous = full")
    agent = create_deep_agent(
        model=model,
        backend=FilesystemBackend(root_dir=folder, virtual_mode=True),
        checkpointer=SqliteSaver(rows),
        system_prompt="You make notes.",
    )

    def do(run, number):
        words, path = phase.prompt(run, number)
        thread = {"configurable": {"thread_id": f"{run}-{number}"}}
        agent.invoke({"messages": [{"role": "user", "content": words}]}, thread, durability="sync")
        phase.check(folder, path)

    return do


phase.measure(one)
