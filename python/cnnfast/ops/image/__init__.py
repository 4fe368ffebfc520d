"""Operations on images: other sizes, places, frames and colours."""

from cnnfast.ops import symbolic
from cnnfast.ops.image.frames import crop_images, pad_images
from cnnfast.ops.image.patches import extract_patches, rgb_to_grayscale
from cnnfast.ops.image.regions import roi_align
from cnnfast.ops.image.resizing import resize
from cnnfast.ops.image.sampling import grid_sample
from cnnfast.ops.image.suppression import non_max_suppression
from cnnfast.ops.image.warping import affine_transform

__all__ = [
    "affine_transform",
    "crop_images",
    "extract_patches",
    "grid_sample",
    "non_max_suppression",
    "pad_images",
    "resize",
    "rgb_to_grayscale",
    "roi_align",
]

symbolic.wrap(globals(), __all__, "image.")
