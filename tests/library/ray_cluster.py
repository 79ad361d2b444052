"""Index on a Ray cluster of two nodes on this machine, one of which is killed: FOLDER PARTS."""

import json
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from lookalike.extractors import load
from lookalike.indexing import file_lists, ray_driver
from lookalike.indexing.report import Progress


def main(folder: Path, parts: Path) -> None:
    quick = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 300,
        "health_check_failure_threshold": 3,
    }
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "_system_config": quick},
    )
    doomed = [cluster.add_node(num_cpus=1)]
    ray.init(cluster.address, log_to_driver=False, logging_level="CRITICAL")
    cluster.wait_for_nodes()
    file_lists.LIST_FILES = 6
    finished = []

    def progress(state: Progress) -> None:
        finished.append(state.done)
        busy = ray.available_resources().get("CPU", 0) == 0  # an actor on each node
        if doomed and busy:
            cluster.remove_node(doomed.pop(), allow_graceful=False)

    report = ray_driver.index_with_ray(
        [folder], [load("phash")], parts, cluster.address, progress=progress
    )
    alive = sum(node["Alive"] for node in ray.nodes())
    again = ray_driver.index_with_ray([folder], [load("phash")], parts, cluster.address)
    print(
        json.dumps(
            {
                "indexed": report.indexed,
                "failures": report.failures,
                "alive": alive,
                "done": finished[-1],
                "again": [again.indexed, again.unchanged, again.known_failures],
            }
        )
    )
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
