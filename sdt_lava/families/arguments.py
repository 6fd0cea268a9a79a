"""Check the effect of training arguments on the network.

A checkpoint of a training script holds all arguments of the script, and a configuration file those
that were set. Each argument belongs to one of four classes: it describes the network and is read
(`official_config`); it has no effect on a trained network; it changes what the network computes and
must have the value that stands for the Spike-driven Transformer; or it is unknown. The last two
raise errors that name the argument.

Sources: the command lines of the authors' ``train.py`` and ``firing_num.py`` and their ``conf``
files; those of STAtten (Lee et al., CVPR 2025), whose tensors have the same names and shapes; the
training script of timm, on which both are based; the neurons of SpikingJelly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdt_lava.errors import ConfigError


class TrainingArguments:
    """Substitute for the ``argparse.Namespace`` in a checkpoint, which receives its attributes."""


# The only class, apart from containers and tensors, that an official checkpoint may contain.
INERT_CLASSES: Mapping[tuple[str, str], type] = {("argparse", "Namespace"): TrainingArguments}

_UNKNOWN_REMEDY = (
    "if they do not change what the network computes, pass a configuration without them: "
    "--config FILE (in Python: config=...), a conf.yml, a preset or a JSON file"
)
_LONGEST_NAME = 100
_EMPTY = ("", "null", "~", "none")


@dataclass(frozen=True)
class _Rule:
    """The values of an argument that stand for the Spike-driven Transformer."""

    values: tuple[Any, ...]
    reason: str
    may_be_empty: bool = True

    def allows(self, value: Any) -> bool:
        if is_empty(value):
            return self.may_be_empty
        return any(_means(value, allowed) for allowed in self.values)

    @property
    def allowed(self) -> str:
        values = " or ".join(map(repr, self.values)) or "nothing"
        return f"{values} ({self.reason})"


_ATTENTION = _Rule(("SDSA", "SDT"), "other attentions have the same tensors")
_THRESHOLD = _Rule((1.0,), "the neurons fire at 1")
_TAU = _Rule((2.0,), "the neurons halve their membrane in each step")
_KIND_OF_NEURON = _Rule(("lif", "LIFNode", "MultiStepLIFNode"), "the neurons are plain LIF")
_NO_EXPERTS = _Rule((0,), "there are no experts")
_EPSILON = _Rule((1e-5,), "the epsilon of the batch normalisations")
_POOLING = _Rule(("max", "maxpool"), "the stages pool the maximum of 3x3")
_MEAN_OF_TOKENS = _Rule(("avg", "mean", "fast"), "the head reads the mean of the tokens")
_HARD_RESET = _Rule(("hard", "zero"), "the neurons are reset to 0")

# Arguments that change the computation, and their allowed values.
_CHANGES: dict[str, _Rule] = {
    "spike_mode": _Rule(("lif",), "as all published models"),
    "attention_mode": _Rule(("SDT",), "other attentions have the same tensors"),
    "attn_mode": _Rule(("direct_xor",), "the default, which the authors' attention does not read"),
    **dict.fromkeys(("attention", "attention_type", "attn", "attn_type", "mixer"), _ATTENTION),
    **dict.fromkeys(("tau", "init_tau", "tau_init", "tau_m", "lif_tau"), _TAU),
    **dict.fromkeys(
        ("v_threshold", "v_th", "vth", "v_thr", "thresh", "thr", "threshold", "lif_threshold"),
        _THRESHOLD,
    ),
    **dict.fromkeys(
        ("attn_threshold", "attention_threshold", "attn_v_threshold", "attn_vth"),
        _Rule((0.5,), "the attention's neurons fire at 0.5"),
    ),
    # Without a value, SpikingJelly subtracts the threshold.
    "v_reset": _Rule((0.0,), "a reset to 0; none is a soft one", may_be_empty=False),
    "v_rest": _Rule((0.0,), "the neurons rest at 0"),
    "decay_input": _Rule((True,), "the input decays with the membrane"),
    "hard_reset": _Rule((True,), "the neurons are reset to 0"),
    "soft_reset": _Rule((False,), "the neurons are reset to 0"),
    **dict.fromkeys(("reset", "reset_mode", "reset_type"), _HARD_RESET),
    **dict.fromkeys(
        (
            "neuron",
            "neuron_type",
            "neuron_model",
            "node",
            "lif_type",
            "spiking_neuron",
            "act_layer",
        ),
        _KIND_OF_NEURON,
    ),
    "step_mode": _Rule(("m",), "the neurons run over all steps"),
    "qk_scale": _Rule((0.125,), "nothing is scaled; the authors' 0.125 is not read"),
    "attn_scale": _Rule((), "nothing is scaled"),
    **dict.fromkeys(("sr_ratio", "sr_ratios"), _Rule((1,), "keys and values keep all tokens")),
    **dict.fromkeys(("bn_eps", "norm_eps"), _EPSILON),
    "bn_tf": _Rule((False,), "its epsilon is 1e-3, not 1e-5"),
    **dict.fromkeys(("num_experts", "n_experts", "expert_timesteps"), _NO_EXPERTS),
    **dict.fromkeys(("expert_top_k", "only_expert_ids"), _Rule((), "there are no experts")),
    **dict.fromkeys(("use_moe", "moe"), _Rule((False,), "there are no experts")),
    **dict.fromkeys(("gp", "global_pool"), _MEAN_OF_TOKENS),
    **dict.fromkeys(("pool", "pooling", "pool_type"), _POOLING),
    **dict.fromkeys(
        ("shortcut", "res_mode", "residual_mode", "connect_f", "cnf"),
        _Rule(("membrane", "ms"), "shortcuts add membrane potentials"),
    ),
    **dict.fromkeys(
        ("encoding", "encoder", "coding", "input_coding"),
        _Rule(("direct",), "the first convolution reads the input itself"),
    ),
    "downsampling": _Rule(("max",), "the stages pool the maximum of 3x3"),
}
_NAMES_OF_THE_NETWORK = ("model", "arch", "model_name")
_MODEL_NAMES = re.compile(r"(ms_?)?(sdt|spike_?former|spike_?driven_?(trans)?former).*", re.I)
# A number would scale something; the authors' list is the range of a random crop.
_ONLY_AS_LIST = ("scale", "ratio")

# Arguments that describe how, where and on what data a network was trained or evaluated. Random
# effects of training (dropped paths, noise) are the identity in a trained network. Biases and the
# kind of normalisation are visible in the tensors.
_WITHOUT_EFFECT = re.compile(
    "|".join(
        (
            # Optimizer and schedule.
            r"opt(im|imizer)?(_.*)?|momentum|nesterov|betas?|adam_.*|weight_decay.*|wd|layer_decay",
            r"clip_(grad|mode|norm|value)|max_norm|grad(ient)?_.*|accum.*|(update|accum)_freq",
            r"sched(uler)?(_.*)?|lr(_.*)?|(\w+_)?lr|blr|epochs?(_.*)?|\w+_epochs?",
            r"decay_(rate|epochs|milestones|steps)|milestones|gamma|warmup.*|cooldown.*|patience.*",
            r"steps_per_epoch|num_(iters|iterations)|max_(iters|steps|epochs)|t_max|eta_min",
            # Augmentation, loss and regularisation.
            r"(no_)?aug(_.*)?|(auto|rand|tri\w*)_?aug(ment)?.*|three_augment|repeated_aug|aa|ra",
            r"colou?r_jitter.*|[hv]?flip(_prob)?|(\w+_)?interpolation|crop.*|re(prob|mode|count)",
            r"resplit|mixup.*|cut(mix|out).*|(label_)?smooth.*|jsd.*|bce.*|loss.*|criterion|mse.*",
            r"tet(_.*)?|dvs_(aug|trival_aug|trivial_aug)|src|erasing.*|random_erase.*",
            r"(\w+_)?drop(out)?(_(rate|path|path_rate|connect|block|block_rate|prob|ratio))?",
            r"bn_momentum|(sync|split|dist)_bn|model_ema.*|ema(_.*)?|swa.*|linear_prob.*|freeze.*",
            r"(teacher|distill?|kd)(_.*|ation.*)?|finetune.*|head_init.*|init_scale.*",
            # Hardware and execution.
            r"(\w+_)?seed|deterministic|benchmark|(\w+_)?workers?|j|pin_mem(ory)?|(no_)?prefetch.*",
            r"persistent_workers|use_multi_epochs_loader|amp(_.*)?|(apex|native)_amp|use_amp",
            r"fp16|bf16|half|precision|dtype|channels_last|torchscript|(torch)?compile.*|jit|cupy",
            r"backend|surrogate.*|sg(_.*)?|detach(_.*)?|use_checkpoint|grad_checkpointing",
            r"dist(ributed|_.*)?|(world|group)_size|(local_|global_)?rank|gpus?(_ids?)?|device.*",
            r"(use_)?cuda|n_?gpus?|num_(gpus|nodes)|master_.*|init_method|launcher|local.rank",
            # Files, names, records.
            r"(data|train|val|test|eval|output|out|save|log|ckpt|checkpoint|work|base|cache|tb|pretrained)"
            r"_?(dir|path|root|folder|file|split|split_path|list|name)|data|root|cfg|c|conf(ig)?(_file)?",
            r"output|out|(use_|log_)?(wandb|tensorboard|tb)(_.*)?|log(_.*|ging|ger)?|\w+_(interval|freq)",
            r"experiment.*|exp(_.*)?|tag|comment|notes?|name|run_name|project|entity|desc(ription)?",
            r"save(_.*)?|checkpoint_.*|recovery.*|verbose|debug|quiet|print_.*|vis(ualize|_.*)?",
            r"pretrained.*|initial_checkpoint|resume.*|(no_)?resume_opt|load(_.*)?|start_\w+|auto_resume",
            r"(val_|train_|test_|eval_)?(batch_size|bs)|b|vb|vb_size|download|class_map|num_samples",
            r"eval(uate|_.*)?|valid(ate|_.*)?|test(_.*)?|tta|metric|large_valid|throughput",
            # Parameters of the network's constructor that it does not read.
            r"patch_size|use_conv_as_linear|get_embed|cml|qkv_bias|norm_layer|norm|pretrained_cfg|hub",
        )
    )
)


def check_arguments(values: Mapping[Any, Any], read: frozenset[str], where: str) -> list[str]:
    """Check all arguments that are not read, and return the names of unknown ones.

    Parameters
    ----------
    values : mapping
        Arguments by name; values may be text, as in YAML.
    read : frozenset of str
        Names that `official_config` reads.
    where : str
        Name of the source in errors.

    Raises
    ------
    ConfigError
        If an argument describes another network; the error lists the arguments, their values and
        the allowed values.
    """
    conflicts: list[tuple[str, Any, str]] = []
    unknown: list[str] = []
    for name, value in values.items():
        if not isinstance(name, str) or name in read:
            continue
        allowed = _refusal(name, value, values)
        if allowed:
            conflicts.append((name, value, allowed))
        elif not _is_known(name, value):
            unknown.append(name)
    if conflicts:
        _refuse(conflicts, where)
    return unknown


def refuse_unknown(unknown: list[str], where: str) -> None:
    """Raise an error that lists unknown arguments, if there are any.

    Raises
    ------
    ConfigError
        If the list is not empty.
    """
    if unknown:
        raise ConfigError(
            where,
            f"unknown arguments {listed_arguments(unknown)}, which may change the network",
            "arguments of the authors' training scripts, and those of a training alone",
            _UNKNOWN_REMEDY,
        )


def listed_arguments(names: list[str], most: int = 20) -> str:
    """Return a list of names for a message, shortened if they are many or long."""
    suffix = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name[:60]) for name in names[:most]) + suffix


def shown(value: object) -> str:
    """Return a short text for an untrusted value."""
    if isinstance(value, (str, int, float)):
        return repr(value)[:60]
    return f"a {type(value).__name__}"


def is_empty(value: object) -> bool:
    """Return whether a value specifies nothing."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _EMPTY)


def _refusal(name: str, value: Any, values: Mapping[Any, Any]) -> str:
    """Return the allowed values if an argument describes another network, else nothing."""
    plain = _plain(name)
    if plain == "chunk_size":
        # STAtten's command line selects its own attention by default; its conf.yml has no such key.
        if is_empty(value) or "attention_mode" in values:
            return ""
        return "nothing, or attention_mode 'SDT' beside it (chunks belong to STAtten's attention)"
    if plain == "attention_mode" and _means(value, "SDT") and _is_dvs(values):
        return (
            "nothing: in dvs_mode the code with this argument dilates the queries, too, and is "
            "another network"
        )
    if plain in _NAMES_OF_THE_NETWORK:
        is_known = is_empty(value) or (isinstance(value, str) and _MODEL_NAMES.fullmatch(value))
        return "" if is_known else "'sdt' or another name of the Spike-driven Transformer"
    rule = _CHANGES.get(plain)
    return "" if rule is None or rule.allows(value) else rule.allowed


def _is_known(name: str, value: Any) -> bool:
    plain = _plain(name)
    if len(plain) > _LONGEST_NAME:
        return False
    if plain in _ONLY_AS_LIST:
        return isinstance(value, (list, tuple)) or is_empty(value)
    if plain in _CHANGES or plain in ("chunk_size", *_NAMES_OF_THE_NETWORK):
        return True
    # No script can read a name with a hyphen: mlp-ratio in the authors' files has no effect.
    return bool(_WITHOUT_EFFECT.fullmatch(plain)) or plain == "mlp_ratio"


def _is_dvs(values: Mapping[Any, Any]) -> bool:
    name = values.get("dataset")
    dvs_mode = values.get("dvs_mode")
    if dvs_mode is None:
        return isinstance(name, str) and name.lower().startswith(("cifar10-dvs", "ncaltech101"))
    return _means(dvs_mode, True)


def _plain(name: str) -> str:
    return name.replace("-", "_").lower()


def _means(value: Any, allowed: Any) -> bool:
    """Compare an argument, which may be text, with a value."""
    if isinstance(allowed, bool):
        if isinstance(value, str):
            return value.strip().lower() == str(allowed).lower()
        return isinstance(value, (bool, int, float)) and value == allowed
    if isinstance(allowed, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return False
        try:
            return float(value) == allowed
        except ValueError:
            return False
    return isinstance(value, str) and value.strip().lower() == str(allowed).lower()


def _refuse(wrong: list[tuple[str, Any, str]], where: str) -> None:
    if len(wrong) == 1:
        name, value, allowed = wrong[0]
        raise ConfigError(f"{where}: {name}", shown(value), allowed)
    raise ConfigError(
        where,
        "; ".join(f"{name} {shown(value)}" for name, value, _ in wrong),
        "; ".join(f"{name} {allowed}" for name, _, allowed in wrong),
    )
