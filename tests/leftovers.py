"""What a Runner leaves behind in its process."""

import logging

from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

SINGLETONS = (DefaultScope, MessageHub, MMLogger, Visualizer)


def forget_runs():
    """Drop MMEngine's globals: two runs that start in the same second would share them."""
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.close()
    for kind in SINGLETONS:
        for one in (kind, *kind.__subclasses__()):
            one._instance_dict.clear()
