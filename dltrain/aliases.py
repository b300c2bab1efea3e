"""What other libraries call things -> what they are called here; for the hint of an error.

A row is a name here and the words that others have for it. Which of several rows is meant, for `alpha`, say,
follows from what is known where the word stands: the fields of a section, the components of a kind. Words are
compared without case, "-" and "_", so `LayerNorm` needs no row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def _table(text: str) -> dict[str, str]:
    """Rows `ours: theirs theirs`, with | between them."""
    rows = [row.rpartition(":") for line in text.split("\n") for row in line.split("|") if row.strip()]
    return {ours.strip(): words.strip() for ours, _, words in rows}


NAMES = _table(  # of components
    """
    softmax_regression: softmax logistic_regression | mlp: MLPClassifier perceptron multilayer_perceptron
    dense: linear fully_connected fc | activation: relu sigmoid tanh softmax gelu leaky_relu
    reshape: unflatten | layer_norm: layer_normalization | batch_norm: BatchNorm1d batch_normalization
    linear: identity none | leaky_relu: lrelu | silu: swish | sigmoid: logistic
    glorot_uniform: xavier_uniform | glorot_normal: xavier_normal | he_uniform: kaiming_uniform
    he_normal: kaiming_normal | random_normal: normal gaussian | truncated_normal: trunc_normal
    zeros: zero
    cross_entropy: CrossEntropyLoss categorical_crossentropy sparse_categorical_crossentropy \
    softmax_cross_entropy nll NLLLoss log_loss
    binary_cross_entropy: BCELoss BCEWithLogitsLoss bce binary_crossentropy sigmoid_cross_entropy
    mse: MSELoss mean_squared_error l2_loss | mae: L1Loss mean_absolute_error
    huber: HuberLoss SmoothL1Loss smooth_l1 | accuracy: acc sparse_categorical_accuracy categorical_accuracy
    top_k_accuracy: top_k top5 sparse_top_k_categorical_accuracy | precision: precision_score
    recall: recall_score sensitivity | f1: f1_score fscore f_measure | roc_auc: auc auroc roc_auc_score
    r2: r2_score coefficient_of_determination | perplexity: ppl
    sgd: gradient_descent GradientDescentOptimizer momentum nesterov | adam: AdamOptimizer
    rmsprop: RMSPropOptimizer | constant: none constant_lr | step: StepLR multistep
    exponential: ExponentialLR ExponentialDecay exp
    cosine: CosineAnnealingLR cosine_annealing cosine_decay | one_cycle: OneCycleLR 1cycle
    npz: numpy npy
    """
)

KEYS = _table(  # of sections and components; "a and b" needs both
    """
    dataset: data | cost: loss criterion | model: network | train: training trainer
    seed: random_seed random_state | epochs: max_epochs num_epochs n_epochs
    steps: max_steps iterations max_iter | batch_size: batch minibatch_size
    evaluation_batch_size: eval_batch_size | log_every: log_interval log_every_n_steps
    checkpoint_every: save_every | metric: monitor | mode: direction | min_delta: delta tolerance
    patience: n_iter_no_change
    validation_size: val_size validation | root: data_dir dir folder path | k: top_k n
    hidden: hidden_layer_sizes hidden_sizes hidden_units hidden_dims layers
    encoder: hidden encoder_sizes encoder_layers | tied_weights: tied tie_weights | units: out_features size
    activation: activation_fn | function: activation activation_fn | use_bias: bias
    kernel_initializer: kernel_init weight_initializer | bias_initializer: bias_init | dropout: dropout_rate
    rate: p dropout_rate drop_prob | shape: target_shape unflattened_size | slope: negative_slope alpha
    standard_deviation: std stddev scale | epsilon: eps
    l2: l2_penalty weight_decay alpha | l1: l1_penalty | delta: beta | label_smoothing: smoothing
    learning_rate: lr eta step_size learning_rate_init | schedule: lr_schedule lr_scheduler scheduler
    clip_norm: global_clipnorm max_norm max_grad_norm grad_clip gradient_clip gradient_clipping
    beta1 and beta2: betas | beta1: b1 momentum | beta2: b2 | decay: rho alpha smoothing discounting_factor
    weight_decay: decay wd l2 | warmup: warmup_steps num_warmup_steps warmup_ratio | decay_rate: gamma
    decay_steps: step_size | final_factor: alpha eta_min | peak: pct_start peak_fraction
    """
)

ELSEWHERE = _table(  # keys that stand in another section here
    """
    optimizer.learning_rate: lr learning_rate | learning_rate of the optimizer: max_lr
    dataset.validation_size: validation_size | l2 of the cost (or take the optimizer adamw): weight_decay
    """
)

ATTRIBUTES = _table(  # of `import dltrain as dl`, in words that follow "write"
    """
    "float32", in quotes: float32 float | "float64", in quotes: float64 double
    "int64", in quotes: int64 int32 int long | dl.Variable: get_variable Parameter
    dl.constant: tensor convert_to_tensor as_tensor from_numpy array asarray
    dl.constant(np.zeros(shape)), or ones: zeros ones full eye | dl.random_uniform: rand uniform
    dl.random_normal: randn normal | dl.Graph(seed=0): random set_random_seed manual_seed PRNGKey
    dl.default_graph: get_default_graph | dl.name_scope: variable_scope
    dl.gradients: grad value_and_grad GradientTape autograd | dl.check_gradients: gradcheck
    dl.stop_gradient: detach no_grad | dl.Session: InteractiveSession
    nothing: a session gives variables their first values: global_variables_initializer \
    initialize_all_variables local_variables_initializer
    session.make_callable(fetches, inputs): function jit | dl.sum: reduce_sum add_n nansum
    dl.mean: reduce_mean average | dl.max: reduce_max amax | dl.min: reduce_min amin
    dl.logsumexp: reduce_logsumexp | dl.matmul: mm bmm dot | dl.power: pow | dl.subtract: sub
    dl.multiply: mul | dl.divide: div truediv | dl.negative: neg
    dl.minimum(dl.maximum(x, low), high): clip clamp clip_by_value
    dl.concat: cat concatenate stack hstack vstack | dl.reshape: view flatten
    dl.transpose: permute swapaxes | dl.expand_dims: unsqueeze | dl.broadcast_to: expand tile repeat
    dl.cast: astype to_float | dl.gather: take index_select embedding_lookup | dl.where: cond select
    dl.softmax_cross_entropy: softmax_cross_entropy_with_logits sparse_softmax_cross_entropy_with_logits
    dl.sigmoid_cross_entropy: sigmoid_cross_entropy_with_logits | dl.cumsum: cumulative_sum
    dl.take_along_axis: take_along_dim batch_gather | dl.diag: diag_embed set_diag | dl.diagonal: diag_part
    dl.tril(dl.triu(x, -below), above): band_part | dl.solve: linsolve lu_solve inv
    dl.solve_triangular: triangular_solve cho_solve | dl.hessian_vector_product: hvp
    an op, such as dl.relu, or a layer of dl.layers: nn keras functional F Module
    dl.optimizers: train optim optax | dl.costs: losses | dl.datasets: data utils
    dl.summary.Writer: FileWriter SummaryWriter
    """
)


def plain(word: str) -> str:
    """Without what differs between styles of writing a name: learningRate, learning-rate, LearningRate."""
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")


def name_here(word: str, known: Collection[str]) -> str | None:
    """The one of the `known` components' names that others call `word`; None if there is none."""
    return next((name for name in known if _is(word, name) or _is(word, NAMES.get(name, ""))), None)


def key_here(word: str, known: Collection[str]) -> str | None:
    """What to write for a key `word` in a section whose keys are `known`; None if there is no such key."""
    rows = {key: words for key, words in KEYS.items() if set(key.split(" and ")) <= set(known)}
    same = (key for key in known if plain(key) == plain(word))
    return next(same, None) or ours(word, rows)


def ours(word: str, table: Mapping[str, str]) -> str | None:
    """What to write for `word` by the rows of a table such as `ATTRIBUTES`; None if it is in none."""
    return next((ours for ours, words in table.items() if _is(word, words)), None)


def _is(word: str, words: str) -> bool:
    return plain(word) in map(plain, words.split())
