"""Keys of `.cfg` files that do not change what a network computes from an image, and those that cannot be honoured."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# How it is trained and shown, and how darknet prepares its images.
NET = _words(
    """
    B1 B2 adam adversarial_lr angle aspect attention augment_speed badlabels_rejection_percentage batch blur
    burn_in center contrastive contrastive_color contrastive_jit_flip crop cutmix decay dynamic_minibatch ema_alpha
    eps equidistant_point exposure flip gamma gaussian_noise hue label_smooth_eps learning_rate learning_rate_min
    letter_box loss_scale max_batches max_chart_loss max_crop min_crop mixup momentum mosaic mosaic_bound notruth
    num_sigmas_reject_badlabels optimized_memory policy power random resize_step saturation scale scales seq_scales
    sequential_subdivisions sgdr_cycle sgdr_mult show_receptive_field step steps subdivisions track try_fix_nan
    unsupervised use_cuda_graph weights_reject_freq workspace_size_limit_MB
    """
)

# What any layer may have for its training.
LAYER = _words("burnin_update clip dont_update learning_rate onlyforward param stopbackward train_only_bn")

# The losses of the detectors, and what darknet does with their boxes afterwards.
_HEAD = _words(
    """
    beta_nms cls_normalizer counters_per_class delta_normalizer dets_for_show dets_for_track focal_loss
    ignore_thresh iou_loss iou_normalizer iou_thresh iou_thresh_kind jitter label_smooth_eps max max_delta nms_kind
    obj_normalizer objectness_smooth random resize show_details sim_thresh track_ciou_norm track_history_size
    truth_thresh
    """
)

BY_SECTION = {
    "convolutional": _words("angle dot grad_centr stream wait_stream"),
    "route": _words("stream wait_stream"),
    "softmax": frozenset(["noloss"]),
    "crop": _words("angle exposure flip saturation shift"),
    "cost": _words("ratio scale type"),
    "yolo": _HEAD,
    "region": _HEAD
    | _words("absolute bias_match class_scale coord_scale log mask_scale noobject_scale object_scale rescore")
    | _words("sqrt thresh"),
}

# What asks for other weights than the file's order tells.
REFUSED_IN_ALL = {
    "dontload": "weights that a file leaves out are not supported",
    "dontloadscales": "weights that a file leaves out are not supported",
}
REFUSED_CONVOLUTIONAL = {
    "antialiasing": "the blurring layer behind it is not supported",
    "assisted_excitation": "it is not supported",
    "binary": "binary weights are not supported",
    "bin_output": "binary outputs are not supported",
    "cbn": "normalization across batches is not supported",
    "coordconv": "coordinates as channels are not supported",
    "reverse": "reversed gradients are not supported",
    "rotate": "deformed kernels are not supported",
    "stretch": "deformed kernels are not supported",
    "stretch_sway": "deformed kernels are not supported",
    "sway": "deformed kernels are not supported",
    "xnor": "binary weights are not supported",
}
REFUSED_MAXPOOL = {
    "antialiasing": "the blurring layer behind it is not supported",
    "maxpool_depth": "the maximum over channels is not supported",
    "maxpool_zero_nonmax": "changing the layer's input is not supported",
}

REFUSED_SECTIONS = {
    "Gaussian_yolo": "boxes with variances are not supported",
    "contrastive": "it is a loss that needs labels of its own",
    "conv_lstm": "recurrent layers are not supported",
    "crnn": "recurrent layers are not supported",
    "detection": "version 1 of YOLO is not supported",
    "gru": "recurrent layers are not supported",
    "history": "recurrent layers are not supported",
    "implicit": "layers without an input are not supported",
    "local": "weights of their own for every place are not supported",
    "lrn": "its sums at the edges differ from every published definition",
    "lstm": "recurrent layers are not supported",
    "normalization": "its sums at the edges differ from every published definition",
    "rnn": "recurrent layers are not supported",
}

# Other names of sections.
SYNONYMS = {
    "avg": "avgpool",
    "conn": "connected",
    "conv": "convolutional",
    "local_avg": "local_avgpool",
    "max": "maxpool",
    "network": "net",
    "silence": "empty",
    "soft": "softmax",
}
