"""Doors, named by who stands at them: parse, call one flow, render. The only place besides `node.app` that knows
FastAPI.
"""
