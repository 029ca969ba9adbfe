"""Keywords of calls, as ``fit(validation_data=...)`` or ``x.sum(dim=1)``.

The entries are those of `of_modules`.
"""

from __future__ import annotations

FIT = """
validation_data eval_set | Keras
    write validation=(X, y)
validation_split validation_fraction | Keras, scikit-learn
    write validation=0.2, the share that is held out
verbose | Keras, scikit-learn
    pass callbacks=[training.ProgressBar(epochs)], for fit never prints
random_state random_seed rng | scikit-learn
    write seed=
shuffle | Keras, scikit-learn
    leave it out: mini-batches are drawn anew each epoch, by seed=
steps_per_epoch | Keras
    write steps=, where X is a function that returns a batch
initial_epoch | Keras
    write epochs=; checkpoint= and resume=True go on with a run
loss_weights | Keras
    write loss=training.Losses({...}, weights={...})
gradient_accumulation_steps accumulate_grad_batches | Hugging Face, Lightning
    write accumulate=
lr learning_rate learning_rate_init | Keras, scikit-learn
    the optimiser has the learning rate, as optim.SGD(lr=0.1)
max_iter n_epochs nb_epoch num_epochs max_epochs iterations | scikit-learn, Keras, skorch
    write epochs=
class_weights | PyTorch
    write class_weight=
sample_weights weights | PyTorch
    write sample_weight=
criterion loss_fn | PyTorch
    write loss=
solver optimiser | scikit-learn
    write optimizer=optim.Adam() or optim.LBFGS()
alpha weight_decay regularization | scikit-learn, PyTorch
    write l2=, the tutorials' lambda
early_stopping n_iter_no_change | scikit-learn
    write patience=10 and validation=(X, y)
batch batchsize | PyTorch
    write batch_size=
device workers use_multiprocessing | Keras, PyTorch
    leave it out: rows are shared out among threads
X_val y_val x_val | Keras
    write validation=(X, y)
"""

AXIS = """
unbiased | PyTorch
    write ddof=1, or ddof=0, which it is anyway
dim | PyTorch
    write axis=
keepdim keep_dims | PyTorch, TensorFlow
    write keepdims=
"""

LAYERS = """
activation | Keras
    put it after the layer: Sequential(Linear(4, 8), ReLU())
units | Keras
    write Linear(inputs, outputs)
in_features | PyTorch
    write Linear(inputs, outputs), or inputs=
out_features | PyTorch
    write Linear(inputs, outputs), or outputs=
filters | Keras
    write out_channels=, after in_channels=
strides | Keras
    write stride=
input_shape input_dim batch_input_shape | Keras
    layers are told their sizes, as Linear(inputs, outputs)
use_bias | Keras
    write bias=False
kernel_initializer weight_init | Keras, JAX
    write weight=nn.init.he_uniform
bias_initializer | Keras
    write bias=
kernel_regularizer | Keras
    write l2= in fit
device | PyTorch
    leave it out: autonn computes on the CPU, in NumPy
seed random_state generator | Keras, scikit-learn, PyTorch
    write rng=, a seed or a np.random.Generator
name | Keras
    leave it out: a module is known by the attribute it is set as
inplace | PyTorch
    leave it out: a result is always new
rate | Keras
    write p=
input_size | PyTorch
    write inputs=
hidden_size num_hidden | PyTorch
    write units=
num_heads | PyTorch
    write heads=
num_layers | PyTorch
    write layers=
batch_first | PyTorch
    leave it out: examples come first, (m, steps, features)
num_embeddings | PyTorch
    write it first: Embedding(count, size)
embedding_dim embed_dim | PyTorch
    write it in its place: Embedding(count, size), MultiheadAttention(width, heads)
dim | PyTorch
    write axis=
num_features | PyTorch
    write features=
trainable | Keras
    freeze by p.requires_grad = False of each parameter
"""

LOSSES = """
reduction | PyTorch, Keras
    leave it out: a loss is a mean; weights= of the examples change it
size_average reduce | PyTorch
    leave it out: a loss is a mean
from_logits | Keras
    choose by the class: SoftmaxCrossEntropy and SigmoidCrossEntropy take logits, CrossEntropy
    takes probabilities
weight pos_weight | PyTorch
    give class_weight= to fit
label_smoothing | PyTorch, Keras
    SoftmaxCrossEntropy has it
"""

OPTIMIZERS = """
learning_rate learning_rate_init | Keras, scikit-learn
    write lr=
beta_1 | Keras
    write beta1=
beta_2 | Keras
    write beta2=
b1 | JAX
    write beta1=
b2 | JAX
    write beta2=
epsilon | Keras
    write eps=
weight_decay | PyTorch
    optim.AdamW and optim.SGD have it; for Adam and the others there is l2= in fit
clipnorm max_grad_norm max_norm | Keras
    write clip_norm=
amsgrad foreach fused maximize capturable | PyTorch
    leave it out; it is not here
params | PyTorch
    give them first: optim.Adam(model)
decay | Keras
    give a schedule as lr, as optim.step_decay(...)
lr | PyTorch
    leave it out: a search finds by itself how far to go
max_iter history_size tolerance_grad line_search_fn | PyTorch
    fit has epochs=, and LBFGS memory=
"""

PREDICT = """
batch_size | Keras
    write np.concatenate([model.predict(part) for part in np.array_split(X, 10)])
verbose steps callbacks | Keras
    leave it out: nothing is printed
training | Keras
    write model.train() and model.eval(); predict is in evaluation mode
attn_mask src_mask | PyTorch
    write mask=, boolean and True where a query may look, so ~attn_mask where that says where not
attention_mask | Keras
    write mask=, boolean and True where a query may look
key_padding_mask src_key_padding_mask | PyTorch
    write mask=~key_padding_mask[:, None, :], True where a query may look
is_causal | PyTorch
    write causal=True
use_causal_mask | Keras
    write causal=True
need_weights average_attn_weights | PyTorch
    leave it out: the output comes alone, and no weights beside it
return_attention_scores | Keras
    leave it out: the output comes alone, and no weights beside it
hx | PyTorch
    write state=, the last state of an earlier call
initial_state | Keras
    write state=, the last state of an earlier call
mask | Keras
    write lengths=, how many steps each sequence has
output_size | PyTorch
    write output_padding= where the layer is made
"""

COSTS = """
input | PyTorch
    give the predictions first, without a name: loss(predictions, targets)
y_pred logits predictions | Keras, JAX
    give the predictions first, without a name: loss(predictions, targets)
target | PyTorch
    give the targets after the predictions, without a name: loss(predictions, targets)
y_true labels | Keras, JAX
    give the targets after the predictions, without a name: loss(predictions, targets)
sample_weight | Keras
    write weights=
"""

STATE = """
strict assign | PyTorch
    leave it out: all entries have to be there, and no others
set_to_none | PyTorch
    leave it out: there is no gradient afterwards
"""

DATA = """
test_size train_size | scikit-learn
    write test=1000, a number of rows
random_state seed | scikit-learn, PyTorch
    write rng=0
stratify shuffle | scikit-learn, PyTorch
    leave it out: rows are drawn, and of each class its share
batch_size | PyTorch
    write data.batches(len(X), size, rng)
drop_last num_workers | PyTorch
    leave it out: the last batch may be short
num_classes depth | PyTorch, Keras, JAX
    write classes=
return_X_y as_frame | scikit-learn
    write digits = load_digits(), which has digits.X and digits.y
"""

COMPILE = """
mode fullgraph dynamic backend | PyTorch
    leave it out: there is one way, a flat program of NumPy
static_argnums static_argnames donate_argnums jit_compile | JAX, TensorFlow
    leave it out: what is no array is taken as it is, and another value makes another program
"""

OF_CALLS = {
    "fit()": FIT,
    "axis()": AXIS,
    "layers()": LAYERS,
    "losses()": LOSSES,
    "optimizers()": OPTIMIZERS,
    "predict()": PREDICT,
    "cost()": COSTS,
    "state()": STATE,
    "data()": DATA,
    "compile()": COMPILE,
}
