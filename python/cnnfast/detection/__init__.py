"""Boxes around objects: what networks of the YOLO family return, decoded, scored and thinned out."""

from cnnfast.detection.boxes import convert_boxes, iou
from cnnfast.detection.letterbox import letterbox, unletterbox
from cnnfast.detection.suppression import Detections, non_max_suppression
from cnnfast.detection.yolo import DecodedBoxes, decode_yolo

__all__ = [
    "DecodedBoxes",
    "Detections",
    "convert_boxes",
    "decode_yolo",
    "iou",
    "letterbox",
    "non_max_suppression",
    "unletterbox",
]
