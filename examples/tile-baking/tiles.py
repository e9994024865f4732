"""The three commands of the tile job: fetch URL FILE, bake FILE ZOOM FOLDER, publish FOLDER URL."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import urllib.request
from pathlib import Path


def fetch(url: str, target: str) -> None:
    with urllib.request.urlopen(url, timeout=10) as answer:
        data = answer.read()
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)  # the next step never sees half a file
    print(f"{len(data)} bytes from {url}")


def bake(source: str, zoom: str, folder: str) -> None:
    side = 2 ** int(zoom)
    tiles: dict[tuple[int, int], list[str]] = {(x, y): [] for x in range(side) for y in range(side)}
    with open(source, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            tiles[tile_of(float(row["longitude"]), float(row["latitude"]), side)].append(row["name"])
    for (x, y), names in work_left(sorted(tiles.items())):
        path = Path(folder, zoom, str(x), f"{y}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(names), encoding="utf-8")
    print(f"{len(tiles)} tiles baked")


def publish(folder: str, url: str) -> None:
    paths = sorted(Path(folder).rglob("*.json"))
    for path in work_left(paths):
        request = urllib.request.Request(f"{url}/{path.relative_to(folder)}", path.read_bytes(), method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
    print(f"{len(paths)} tiles published")


def work_left(items):
    """The items that no earlier attempt has done. Each that is done is a heartbeat: its number is the cursor."""
    done = int(os.environ.get("JOBCTL_CURSOR", "0"))
    with open(os.environ["JOBCTL_HEARTBEAT"], "a", buffering=1) as heartbeat:
        for number, item in enumerate(items[done:], done + 1):
            yield item
            print(number, file=heartbeat)


def tile_of(longitude: float, latitude: float, side: int) -> tuple[int, int]:
    """Web Mercator's tile of a place."""
    angle = math.radians(latitude)
    x = (longitude + 180) / 360 * side
    y = (1 - math.asinh(math.tan(angle)) / math.pi) / 2 * side
    return int(x), int(y)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    try:
        {"fetch": fetch, "bake": bake, "publish": publish}[command](*arguments)
    except OSError as error:  # the network's errors are among them: one line says more than a traceback
        sys.exit(f"{command}: {error}")
