"""Operations on images: other sizes, places, frames and colours."""

from cnnfast.ops import symbolic
from cnnfast.ops.image.frames import crop_images, pad_images
from cnnfast.ops.image.patches import extract_patches, rgb_to_grayscale
from cnnfast.ops.image.resizing import resize
from cnnfast.ops.image.warping import affine_transform

__all__ = ["affine_transform", "crop_images", "extract_patches", "pad_images", "resize", "rgb_to_grayscale"]

symbolic.wrap(globals(), __all__, "image.")
