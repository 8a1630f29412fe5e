#!/usr/bin/env python3
# Usage: debug_client.py SOCKET REQUEST...   One request to a node's debug socket (docs/DEBUG-SOCKET.md).
import json, socket, sys
node = socket.socket(socket.AF_UNIX)
node.connect(sys.argv[1])
node.sendall(" ".join(sys.argv[2:]).encode() + b"\n")
for line in node.makefile() if sys.argv[2] == "watch" else [node.makefile().readline()]:
    print(json.dumps(json.loads(line), indent=2), flush=True)
