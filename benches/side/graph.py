"""The phase as a LangGraph graph with its SQLite saver; its nodes do the same as the plain loop."""

import operator
import os
import sqlite3
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

import phase


class State(TypedDict):
    messages: Annotated[list, operator.add]
    path: str


def one(base_url, folder):
    model = phase.Model(base_url)
    rows = sqlite3.connect(os.path.join(folder, "graph.db"), check_same_thread=False)
    rows.execute("PRAGMA synchronous = full")
    graph = StateGraph(State)
    graph.add_node("ask", lambda state: {"messages": [model.ask(state["messages"])]})
    graph.add_node("tools", lambda state: {"messages": phase.tool_results(folder, state["messages"][-1])})
    graph.add_node("check", lambda state: phase.check(folder, state["path"]))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", lambda state: "tools" if state["messages"][-1].get("tool_calls") else "check")
    graph.add_edge("tools", "ask")
    graph.add_edge("check", END)
    compiled = graph.compile(checkpointer=SqliteSaver(rows))

    def do(run, number):
        words, path = phase.prompt(run, number)
        thread = {"configurable": {"thread_id": f"{run}-{number}"}}
        # "sync": each step is stored before the next one starts.
        compiled.invoke({"messages": [{"role": "user", "content": words}], "path": path}, thread, durability="sync")

    return do


phase.measure(one)
