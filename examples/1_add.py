"""Two constants, added in a graph, run in a session."""

import dltrain as dl

node1 = dl.constant(3.0, dtype="float32", name="node1")
node2 = dl.constant(4.0, dtype="float32", name="node2")
node3 = dl.add(node1, node2)
print(node1, node3)

with dl.Session() as session:
    print("Result:", session.run([node3]))
