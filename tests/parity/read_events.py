"""Reads an event folder with TensorBoard's own reader; prints JSON.

    read_events.py FOLDER

{"scalars": {TAG: [[step, value], ...]},
 "histograms": {TAG: [[step, [[left, right, count], ...]], ...]},
 "texts": {TAG: [[step, [text, ...]], ...]},
 "hparams": {"hparams": {NAME: VALUE}, "metrics": [TAG, ...], "status": NUMBER}}

TensorBoard stops at the first record with a wrong checksum, and migrates plain
summaries as its web page does. Exits with 1 if the folder holds no events.
"""

import json
import sys

from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util


def read(folder):
    events = plugin_event_multiplexer.EventMultiplexer(
        tensor_size_guidance={"scalars": 0, "histograms": 0, "text": 0})
    events.AddRun(folder, name="run")
    events.Reload()

    def series(plugin, convert):
        tags = events.PluginRunToTagToContent(plugin).get("run", {})
        return {tag: [[event.step,
                       convert(tensor_util.make_ndarray(event.tensor_proto))]
                      for event in events.Tensors("run", tag)]
                for tag in sorted(tags)}

    content = events.PluginRunToTagToContent("hparams").get("run", {})
    data = {tag.rpartition("/")[2]: plugin_data_pb2.HParamsPluginData.FromString(
        bytes_) for tag, bytes_ in content.items()}
    hparams = {}
    if "session_start_info" in data:
        start = data["session_start_info"].session_start_info
        hparams = {
            "hparams": {name: getattr(value, value.WhichOneof("kind"))
                        for name, value in start.hparams.items()},
            "metrics": [info.name.tag for info in
                        data["experiment"].experiment.metric_infos],
            "status": data["session_end_info"].session_end_info.status
                      if "session_end_info" in data else 0}

    return {
        "hparams": hparams,
        "scalars": series("scalars", lambda a: a.item()),
        "histograms": series("histograms", lambda a: a.tolist()),
        "texts": series("text", lambda a: [t.decode() for t in a.ravel()]),
    }


def main():
    values = read(sys.argv[1])
    print(json.dumps(values, ensure_ascii=False))
    if not any(values.values()):
        sys.exit(f"{sys.argv[1]}: TensorBoard finds no events")


if __name__ == "__main__":
    main()
