"""The techniques, one per file, grouped in folders by the part of training they change. To add one: write its file and its test,
and add it to the import list here."""

from whet.methods.architecture.blurpool import BlurPool
from whet.methods.architecture.ghost_batchnorm import GhostBatchNorm
from whet.methods.architecture.multiple_instance import MultipleInstance
from whet.methods.architecture.scale_depth import ScaleDepth
from whet.methods.architecture.scale_width import ScaleWidth
from whet.methods.architecture.squeeze_excite import SqueezeExcite
from whet.methods.architecture.weight_standardization import WeightStandardization
from whet.methods.augment_audio.add_noise import AddNoise
from whet.methods.augment_audio.background_mix import BackgroundMix
from whet.methods.augment_audio.band_pass import BandPass
from whet.methods.augment_audio.clip_distortion import ClipDistortion
from whet.methods.augment_audio.equalizer import Equalizer
from whet.methods.augment_audio.freq_mask import FreqMask
from whet.methods.augment_audio.gain import Gain
from whet.methods.augment_audio.mp3_like import Mp3Like
from whet.methods.augment_audio.pitch_shift import PitchShift
from whet.methods.augment_audio.polarity import Polarity
from whet.methods.augment_audio.random_gap import RandomGap
from whet.methods.augment_audio.reverb import Reverb
from whet.methods.augment_audio.spec_augment import SpecAugment
from whet.methods.augment_audio.speed import Speed
from whet.methods.augment_audio.time_mask import TimeMask
from whet.methods.augment_audio.time_shift import TimeShift
from whet.methods.augment_audio.time_stretch import TimeStretch
from whet.methods.augment_audio.vtlp import Vtlp
from whet.methods.augment_image.albumentations import Albumentations
from whet.methods.augment_image.alternating_flip import AlternatingFlip
from whet.methods.augment_image.augmix import AugMix
from whet.methods.augment_image.auto_augment import AutoAugment
from whet.methods.augment_image.autocontrast import AutoContrast
from whet.methods.augment_image.brightness import Brightness
from whet.methods.augment_image.center_zoom import CenterZoom
from whet.methods.augment_image.channel_shuffle import ChannelShuffle
from whet.methods.augment_image.color_jitter import ColorJitter
from whet.methods.augment_image.contrast import Contrast
from whet.methods.augment_image.cutout import Cutout
from whet.methods.augment_image.downscale import Downscale
from whet.methods.augment_image.elastic import Elastic
from whet.methods.augment_image.equalize import Equalize
from whet.methods.augment_image.gamma import Gamma
from whet.methods.augment_image.gaussian_blur import GaussianBlur
from whet.methods.augment_image.gaussian_noise import GaussianNoise
from whet.methods.augment_image.grayscale import Grayscale
from whet.methods.augment_image.grid_distortion import GridDistortion
from whet.methods.augment_image.grid_mask import GridMask
from whet.methods.augment_image.hide_and_seek import HideAndSeek
from whet.methods.augment_image.horizontal_flip import HorizontalFlip
from whet.methods.augment_image.hue import Hue
from whet.methods.augment_image.invert import Invert
from whet.methods.augment_image.jpeg import Jpeg
from whet.methods.augment_image.kornia import Kornia
from whet.methods.augment_image.motion_blur import MotionBlur
from whet.methods.augment_image.pca_lighting import PcaLighting
from whet.methods.augment_image.perspective import Perspective
from whet.methods.augment_image.posterize import Posterize
from whet.methods.augment_image.rand_augment import RandAugment
from whet.methods.augment_image.random_crop import RandomCrop
from whet.methods.augment_image.random_erasing import RandomErasing
from whet.methods.augment_image.random_resized_crop import RandomResizedCrop
from whet.methods.augment_image.rare_class_crop import RareClassCrop
from whet.methods.augment_image.rotate import Rotate
from whet.methods.augment_image.rotate90 import Rotate90
from whet.methods.augment_image.salt_pepper import SaltPepper
from whet.methods.augment_image.saturation import Saturation
from whet.methods.augment_image.scale import Scale
from whet.methods.augment_image.sharpen import Sharpen
from whet.methods.augment_image.shear import Shear
from whet.methods.augment_image.shot_noise import ShotNoise
from whet.methods.augment_image.solarize import Solarize
from whet.methods.augment_image.torchvision_v2 import TorchvisionV2
from whet.methods.augment_image.translate import Translate
from whet.methods.augment_image.trivial_augment import TrivialAugment
from whet.methods.augment_image.vertical_flip import VerticalFlip
from whet.methods.augment_image.white_balance import WhiteBalance
from whet.methods.augment_text.aeda import AEDA
from whet.methods.augment_text.back_translation import BackTranslation
from whet.methods.augment_text.case_noise import CaseNoise
from whet.methods.augment_text.char_swap import CharSwap
from whet.methods.augment_text.contextual_substitution import ContextualSubstitution
from whet.methods.augment_text.eda import EDA
from whet.methods.augment_text.homophone import Homophone
from whet.methods.augment_text.keyboard_typo import KeyboardTypo
from whet.methods.augment_text.ocr_noise import OcrNoise
from whet.methods.augment_text.random_deletion import RandomDeletion
from whet.methods.augment_text.random_insertion import RandomInsertion
from whet.methods.augment_text.random_swap import RandomSwap
from whet.methods.augment_text.sentence_shuffle import SentenceShuffle
from whet.methods.augment_text.similar_character import SimilarCharacter
from whet.methods.augment_text.span_cutoff import SpanCutoff
from whet.methods.augment_text.synonym_replacement import SynonymReplacement
from whet.methods.augment_text.text_merge import TextMerge
from whet.methods.augment_text.token_mask import TokenMask
from whet.methods.average.ema import EMA
from whet.methods.average.lawa import LAWA
from whet.methods.average.snapshot import Snapshot
from whet.methods.average.soup import Soup
from whet.methods.average.swa import SWA
from whet.methods.balance.asymmetric import Asymmetric
from whet.methods.balance.balanced_sampler import BalancedSampler
from whet.methods.balance.balanced_softmax import BalancedSoftmax
from whet.methods.balance.bootstrap_loss import BootstrapLoss
from whet.methods.balance.boundary_loss import BoundaryLoss
from whet.methods.balance.class_weight import ClassWeight
from whet.methods.balance.classifier_retraining import ClassifierRetraining
from whet.methods.balance.co_teaching import CoTeaching
from whet.methods.balance.confident_learning import ConfidentLearning
from whet.methods.balance.dice import Dice
from whet.methods.balance.drop_conflicts import DropConflicts
from whet.methods.balance.focal import Focal
from whet.methods.balance.generalized_cross_entropy import GeneralizedCrossEntropy
from whet.methods.balance.ldam_drw import LdamDrw
from whet.methods.balance.logit_adjustment import LogitAdjustment
from whet.methods.balance.lovasz import Lovasz
from whet.methods.balance.ohem import OHEM
from whet.methods.balance.oversample import Oversample
from whet.methods.balance.symmetric_cross_entropy import SymmetricCrossEntropy
from whet.methods.balance.threshold_tuning import ThresholdTuning
from whet.methods.balance.tversky import Tversky
from whet.methods.compress.low_rank import LowRank
from whet.methods.compress.prune_magnitude import PruneMagnitude
from whet.methods.compress.prune_structured import PruneStructured
from whet.methods.compress.quantize_aware import QuantizeAware
from whet.methods.compress.quantize_dynamic import QuantizeDynamic
from whet.methods.compress.quantize_static import QuantizeStatic
from whet.methods.distill.decoupled_distill import DecoupledDistill
from whet.methods.distill.distill import Distill
from whet.methods.distill.feature_distill import FeatureDistill
from whet.methods.distill.relational_distill import RelationalDistill
from whet.methods.distill.self_distill import SelfDistill
from whet.methods.ensemble.deep_ensemble import DeepEnsemble
from whet.methods.ensemble.hyper_ensemble import HyperEnsemble
from whet.methods.ensemble.stacking import Stacking
from whet.methods.ensemble.temperature_scaling import TemperatureScaling
from whet.methods.ensemble.tiles import Tiles
from whet.methods.ensemble.tta import TTA
from whet.methods.ensemble.vector_scaling import VectorScaling
from whet.methods.mix.between_class import BetweenClass
from whet.methods.mix.copy_paste import CopyPaste
from whet.methods.mix.cutmix import CutMix
from whet.methods.mix.fmix import FMix
from whet.methods.mix.manifold_mixup import ManifoldMixup
from whet.methods.mix.mixup import MixUp
from whet.methods.mix.mosaic import Mosaic
from whet.methods.mix.resizemix import ResizeMix
from whet.methods.mix.spec_mix import SpecMix
from whet.methods.optimize.accumulate import Accumulate
from whet.methods.optimize.adafactor import Adafactor
from whet.methods.optimize.adagrad import Adagrad
from whet.methods.optimize.adam import Adam
from whet.methods.optimize.adamw import AdamW
from whet.methods.optimize.adaptive_clip import AdaptiveClip
from whet.methods.optimize.asam import ASAM
from whet.methods.optimize.clip_norm import ClipNorm
from whet.methods.optimize.clip_value import ClipValue
from whet.methods.optimize.gauss_newton import GaussNewton
from whet.methods.optimize.gradient_centralization import GradientCentralization
from whet.methods.optimize.gradient_noise import GradientNoise
from whet.methods.optimize.kfac import KFAC
from whet.methods.optimize.lamb import LAMB
from whet.methods.optimize.lbfgs import LBFGS
from whet.methods.optimize.lion import Lion
from whet.methods.optimize.lookahead import Lookahead
from whet.methods.optimize.muon import Muon
from whet.methods.optimize.nadam import NAdam
from whet.methods.optimize.newton_cg import NewtonCG
from whet.methods.optimize.radam import RAdam
from whet.methods.optimize.rmsprop import RMSprop
from whet.methods.optimize.sam import SAM
from whet.methods.optimize.schedule_free import ScheduleFree
from whet.methods.optimize.sgd import SGD
from whet.methods.optimize.shampoo import Shampoo
from whet.methods.optimize.soap import SOAP
from whet.methods.optimize.sophia import Sophia
from whet.methods.pretrain.byol import BYOL
from whet.methods.pretrain.masked_autoencoder import MaskedAutoencoder
from whet.methods.pretrain.masked_language_model import MaskedLanguageModel
from whet.methods.pretrain.simclr import SimCLR
from whet.methods.pretrain.simsiam import SimSiam
from whet.methods.regularize.awp import AWP
from whet.methods.regularize.confidence_penalty import ConfidencePenalty
from whet.methods.regularize.deep_supervision import DeepSupervision
from whet.methods.regularize.dropblock import DropBlock
from whet.methods.regularize.dropout import Dropout
from whet.methods.regularize.early_stopping import EarlyStopping
from whet.methods.regularize.elastic_net import ElasticNet
from whet.methods.regularize.fgm import FGM
from whet.methods.regularize.gradient_penalty import GradientPenalty
from whet.methods.regularize.jsd_consistency import JsdConsistency
from whet.methods.regularize.l1 import L1
from whet.methods.regularize.l2 import L2
from whet.methods.regularize.label_smoothing import LabelSmoothing
from whet.methods.regularize.max_norm import MaxNorm
from whet.methods.regularize.orthogonal import Orthogonal
from whet.methods.regularize.r_drop import RDrop
from whet.methods.regularize.spectral_norm import SpectralNorm
from whet.methods.regularize.stochastic_depth import StochasticDepth
from whet.methods.regularize.vat import VAT
from whet.methods.regularize.weight_decay import WeightDecay
from whet.methods.regularize.weight_noise import WeightNoise
from whet.methods.schedule.batch_ramp import BatchRamp
from whet.methods.schedule.constant import Constant
from whet.methods.schedule.cosine import Cosine
from whet.methods.schedule.cosine_restarts import CosineRestarts
from whet.methods.schedule.curriculum import Curriculum
from whet.methods.schedule.exponential import Exponential
from whet.methods.schedule.linear import Linear
from whet.methods.schedule.lr_finder import LRFinder
from whet.methods.schedule.multistep import Multistep
from whet.methods.schedule.one_cycle import OneCycle
from whet.methods.schedule.plateau import Plateau
from whet.methods.schedule.polynomial import Polynomial
from whet.methods.schedule.progressive_resize import ProgressiveResize
from whet.methods.schedule.step import Step
from whet.methods.schedule.warmup import Warmup
from whet.methods.schedule.warmup_stable_decay import WarmupStableDecay
from whet.methods.semi.adamatch import AdaMatch
from whet.methods.semi.fixmatch import FixMatch
from whet.methods.semi.label_propagation import LabelPropagation
from whet.methods.semi.label_spreading import LabelSpreading
from whet.methods.semi.mean_teacher import MeanTeacher
from whet.methods.semi.noisy_student import NoisyStudent
from whet.methods.semi.pseudo_label import PseudoLabel
from whet.methods.semi.softmatch import SoftMatch
from whet.methods.semi.supervised_guard import SupervisedGuard
from whet.methods.transfer.adapter import Adapter
from whet.methods.transfer.bitfit import BitFit
from whet.methods.transfer.discriminative_lr import DiscriminativeLR
from whet.methods.transfer.finetune import Finetune
from whet.methods.transfer.freeze import Freeze
from whet.methods.transfer.from_run import FromRun
from whet.methods.transfer.gradual_unfreeze import GradualUnfreeze
from whet.methods.transfer.head import Head
from whet.methods.transfer.l2_sp import L2SP
from whet.methods.transfer.layerwise_lr import LayerwiseLr
from whet.methods.transfer.linear_probe import LinearProbe
from whet.methods.transfer.linear_probe_then_finetune import LinearProbeThenFinetune
from whet.methods.transfer.logistic_regression import LogisticRegression
from whet.methods.transfer.lora import LoRA
from whet.methods.transfer.mixout import Mixout
from whet.methods.weak.box_fill import BoxFill
from whet.methods.weak.cam_to_mask import CamToMask
from whet.methods.weak.color_pairs import ColorPairs
from whet.methods.weak.grabcut import Grabcut
from whet.methods.weak.label_fill import LabelFill

__all__ = [
    "AEDA",
    "ASAM",
    "AWP",
    "BYOL",
    "EDA",
    "EMA",
    "FGM",
    "KFAC",
    "L1",
    "L2",
    "L2SP",
    "LAMB",
    "LAWA",
    "LBFGS",
    "OHEM",
    "SAM",
    "SGD",
    "SOAP",
    "SWA",
    "TTA",
    "VAT",
    "Accumulate",
    "AdaMatch",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adapter",
    "AdaptiveClip",
    "AddNoise",
    "Albumentations",
    "AlternatingFlip",
    "Asymmetric",
    "AugMix",
    "AutoAugment",
    "AutoContrast",
    "BackTranslation",
    "BackgroundMix",
    "BalancedSampler",
    "BalancedSoftmax",
    "BandPass",
    "BatchRamp",
    "BetweenClass",
    "BitFit",
    "BlurPool",
    "BootstrapLoss",
    "BoundaryLoss",
    "BoxFill",
    "Brightness",
    "CamToMask",
    "CaseNoise",
    "CenterZoom",
    "ChannelShuffle",
    "CharSwap",
    "ClassWeight",
    "ClassifierRetraining",
    "ClipDistortion",
    "ClipNorm",
    "ClipValue",
    "CoTeaching",
    "ColorJitter",
    "ColorPairs",
    "ConfidencePenalty",
    "ConfidentLearning",
    "Constant",
    "ContextualSubstitution",
    "Contrast",
    "CopyPaste",
    "Cosine",
    "CosineRestarts",
    "Curriculum",
    "CutMix",
    "Cutout",
    "DecoupledDistill",
    "DeepEnsemble",
    "DeepSupervision",
    "Dice",
    "DiscriminativeLR",
    "Distill",
    "Downscale",
    "DropBlock",
    "DropConflicts",
    "Dropout",
    "EarlyStopping",
    "Elastic",
    "ElasticNet",
    "Equalize",
    "Equalizer",
    "Exponential",
    "FMix",
    "FeatureDistill",
    "Finetune",
    "FixMatch",
    "Focal",
    "Freeze",
    "FreqMask",
    "FromRun",
    "Gain",
    "Gamma",
    "GaussNewton",
    "GaussianBlur",
    "GaussianNoise",
    "GeneralizedCrossEntropy",
    "GhostBatchNorm",
    "Grabcut",
    "GradientCentralization",
    "GradientNoise",
    "GradientPenalty",
    "GradualUnfreeze",
    "Grayscale",
    "GridDistortion",
    "GridMask",
    "Head",
    "HideAndSeek",
    "Homophone",
    "HorizontalFlip",
    "Hue",
    "HyperEnsemble",
    "Invert",
    "Jpeg",
    "JsdConsistency",
    "KeyboardTypo",
    "Kornia",
    "LRFinder",
    "LabelFill",
    "LabelPropagation",
    "LabelSmoothing",
    "LabelSpreading",
    "LayerwiseLr",
    "LdamDrw",
    "Linear",
    "LinearProbe",
    "LinearProbeThenFinetune",
    "Lion",
    "LoRA",
    "LogisticRegression",
    "LogitAdjustment",
    "Lookahead",
    "Lovasz",
    "LowRank",
    "ManifoldMixup",
    "MaskedAutoencoder",
    "MaskedLanguageModel",
    "MaxNorm",
    "MeanTeacher",
    "MixUp",
    "Mixout",
    "Mosaic",
    "MotionBlur",
    "Mp3Like",
    "MultipleInstance",
    "Multistep",
    "Muon",
    "NAdam",
    "NewtonCG",
    "NoisyStudent",
    "OcrNoise",
    "OneCycle",
    "Orthogonal",
    "Oversample",
    "PcaLighting",
    "Perspective",
    "PitchShift",
    "Plateau",
    "Polarity",
    "Polynomial",
    "Posterize",
    "ProgressiveResize",
    "PruneMagnitude",
    "PruneStructured",
    "PseudoLabel",
    "QuantizeAware",
    "QuantizeDynamic",
    "QuantizeStatic",
    "RAdam",
    "RDrop",
    "RMSprop",
    "RandAugment",
    "RandomCrop",
    "RandomDeletion",
    "RandomErasing",
    "RandomGap",
    "RandomInsertion",
    "RandomResizedCrop",
    "RandomSwap",
    "RareClassCrop",
    "RelationalDistill",
    "ResizeMix",
    "Reverb",
    "Rotate",
    "Rotate90",
    "SaltPepper",
    "Saturation",
    "Scale",
    "ScaleDepth",
    "ScaleWidth",
    "ScheduleFree",
    "SelfDistill",
    "SentenceShuffle",
    "Shampoo",
    "Sharpen",
    "Shear",
    "ShotNoise",
    "SimCLR",
    "SimSiam",
    "SimilarCharacter",
    "Snapshot",
    "SoftMatch",
    "Solarize",
    "Sophia",
    "Soup",
    "SpanCutoff",
    "SpecAugment",
    "SpecMix",
    "SpectralNorm",
    "Speed",
    "SqueezeExcite",
    "Stacking",
    "Step",
    "StochasticDepth",
    "SupervisedGuard",
    "SymmetricCrossEntropy",
    "SynonymReplacement",
    "TemperatureScaling",
    "TextMerge",
    "ThresholdTuning",
    "Tiles",
    "TimeMask",
    "TimeShift",
    "TimeStretch",
    "TokenMask",
    "TorchvisionV2",
    "Translate",
    "TrivialAugment",
    "Tversky",
    "VectorScaling",
    "VerticalFlip",
    "Vtlp",
    "Warmup",
    "WarmupStableDecay",
    "WeightDecay",
    "WeightNoise",
    "WeightStandardization",
    "WhiteBalance",
]
