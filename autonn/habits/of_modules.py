"""Words that are asked of modules, as ``autonn.cat`` or ``nn.MSELoss``.

An entry has the words, whose they are, and, set in, the answer, which goes on after "module
'autonn' has no attribute 'cat', as PyTorch has:"; ``{word}`` in it is the word.
"""

from __future__ import annotations

AUTONN = """
tensor as_tensor from_numpy | PyTorch
    write Tensor(values)
array asarray | NumPy, JAX
    write np.array; its functions take Tensors, and Tensor(values, requires_grad=True) is what
    gradients go to
zeros ones empty full eye arange linspace zeros_like ones_like full_like | PyTorch, JAX
    write np.{word}, and Tensor(np.zeros(3), requires_grad=True) for a parameter
randn rand randint normal uniform | PyTorch
    draw by np.random.default_rng(seed)
cat concatenate | PyTorch, JAX
    write np.concatenate([x, y]), which takes Tensors
stack vstack hstack split where exp log sqrt abs sum mean max min maximum minimum argmax argmin
std var prod sin cos tanh dot einsum outer square cumsum sort squeeze transpose reshape isnan clip
| PyTorch, JAX
    write np.{word}, which takes Tensors
matmul mm bmm | PyTorch
    write x @ y, or np.matmul, which takes Tensors
clamp | PyTorch
    write np.clip(x, low, high), which takes Tensors
unsqueeze | PyTorch
    write np.expand_dims(x, axis) or x[None]
permute | PyTorch
    write np.transpose(x, axes)
pow | PyTorch
    write x ** p
save | PyTorch, JAX
    write save_model(model, "model.npz"), or save_weights(model, "model.npz") for its numbers alone
load | PyTorch, JAX
    write load_model("model.npz"), or load_weights(model, "model.npz"), which fills a model
Parameter Variable | PyTorch, Keras
    write Tensor(values, requires_grad=True)
cross_entropy | PyTorch
    write SoftmaxCrossEntropy()(logits, classes)
mse_loss | PyTorch
    write MeanSquaredError()(predictions, targets)
DataLoader Dataset TensorDataset | PyTorch
    give fit the arrays and batch_size=, or as X what yields batches (x, y), a DataLoader of
    PyTorch's among them
utils | PyTorch, Keras
    see data.batches, one_hot and Optimizer's clip_norm=
autograd GradientTape | PyTorch, TensorFlow
    write grad(f)(x), or y.backward() and x.grad
enable_grad set_grad_enabled inference_mode | PyTorch
    gradients are on but within no_grad()
manual_seed seed set_random_seed PRNGKey | PyTorch, Keras, JAX
    nothing draws from a global generator here; give rng= to layers and seed= to fit
cuda device mps gpu backends get_default_device device_put | PyTorch, JAX
    autonn computes on the CPU, in NumPy
float32 float64 float16 int64 long | PyTorch, JAX
    write np.float32 and the like; model.astype(np.float32) changes a model
jit script trace function | JAX, PyTorch, TensorFlow
    write compile(f), or fit, which compiles by itself
pmap | JAX
    write vmap(f); compiled programs share rows out among threads by themselves
jacfwd jacrev | JAX
    write jacobian(f)
tree_map tree_util tree | JAX
    grad takes and gives dicts, lists and tuples of arrays
lax | JAX
    write it in NumPy's functions, which take Tensors; loops are scan(f, carry, xs)
linen | JAX
    layers are in nn
numpy | JAX
    write import numpy as np: its functions take Tensors
Dense | Keras, JAX
    write Linear(inputs, outputs), and the activation after it, as in Sequential(Linear(4, 8),
    ReLU())
Conv2D Conv1D | Keras
    write Conv2d(in_channels, out_channels, kernel_size); pictures are (m, channels, rows,
    columns)
MaxPooling2D MaxPool2D | Keras
    write MaxPool2d(size)
AveragePooling2D | Keras
    write AvgPool2d(size)
GlobalAveragePooling2D | Keras
    write GlobalAveragePool()
BatchNormalization | Keras
    write BatchNorm(features), of rows as of the channels of pictures
LayerNormalization | Keras
    write LayerNorm(features)
MultiHeadAttention | Keras
    write MultiheadAttention(width, heads)
Activation | Keras
    write ReLU(), Tanh(), ...; Sequential also takes functions, as np.tanh
Input InputLayer | Keras
    leave it out: each layer is told its sizes
losses | Keras
    they are at the top: CrossEntropy, SoftmaxCrossEntropy, SigmoidCrossEntropy, MeanSquaredError,
    HuberLoss, ...
callbacks EarlyStopping ModelCheckpoint | Keras
    fit has patience= and checkpoint=, and callbacks=[...] takes functions of its history, or
    objects with on_begin, on_step, on_epoch and on_end
LearningRateScheduler ReduceLROnPlateau | Keras
    the learning rate may be a schedule, as optim.Adam(lr=optim.cosine(0.01, steps))
metrics | Keras, scikit-learn
    write fit(..., metrics=["accuracy", "f1"]), or training.accuracy(model, X, y), training.top_k
    or training.confusion_matrix
optimizers | Keras
    they are in optim: optim.Adam, optim.SGD, ...
layers | Keras
    they are at the top, and in nn: Linear, Conv2d, ...
models Model | Keras
    write Sequential(...), or a Module with a forward(x)
datasets | Keras
    write load_digits(), or data.load_images(...)
to_categorical | Keras
    write one_hot(classes, k); losses take the classes themselves
MLPClassifier | scikit-learn
    write autonn.sklearn.NetClassifier()
MLPRegressor | scikit-learn
    write autonn.sklearn.NetRegressor()
train_test_split | scikit-learn
    write data.split(X, y, test=1000, rng=0)
StandardScaler | scikit-learn
    write (X - X.mean(0)) / X.std(0), or make a pipeline of scikit-learn's with
    autonn.sklearn.NetClassifier
GridSearchCV cross_val_score Pipeline | scikit-learn
    take scikit-learn's own, with a NetClassifier or NetRegressor of autonn.sklearn
NeuralNetClassifier | skorch
    write autonn.sklearn.NetClassifier()
accuracy accuracy_score | scikit-learn
    write training.accuracy(model, X, y)
fminunc fmincg fminsearch optimset | MATLAB
    write fit(model, X, y, loss=CrossEntropy(), optimizer=optim.LBFGS(), epochs=50), or
    optim.LBFGS([theta]).minimize(cost, 50)
sigmoidGradient | MATLAB
    leave it out, for autonn differentiates; it is grad(sigmoid)
randInitializeWeights | MATLAB
    write Layer(400, 25, weight=nn.init.uniform(0.12))
checkNNGradients computeNumericalGradient checkCostFunction | MATLAB
    write gradcheck(f, x), and review(f, theta) for which line is wrong
displayData | MATLAB
    write plots.digits(data.as_images(X)), or plots.hidden_units(weight)
featureNormalize | MATLAB
    write (X - X.mean(0)) / X.std(0)
bsxfun repmat | MATLAB
    leave it out: shapes are stretched by themselves, as in X - mu
loadmat | MATLAB
    write data.read_examples("ex4data1.mat"), or load_weights(model, "ex4weights.mat")
"""

NN = """
Parameter | PyTorch
    write Tensor(values, requires_grad=True)
CrossEntropyLoss | PyTorch
    write SoftmaxCrossEntropy(), which takes logits; CrossEntropy() is the tutorials' cost, of
    probabilities
NLLLoss | PyTorch
    write SoftmaxCrossEntropy(), of the logits, and leave the LogSoftmax out
MSELoss | PyTorch
    write MeanSquaredError()
L1Loss | PyTorch
    write HuberLoss(delta) with a small delta, or a function: lambda a, y: np.mean(np.abs(a - y))
SmoothL1Loss | PyTorch
    write HuberLoss(delta)
BCELoss BCEWithLogitsLoss | PyTorch
    write SigmoidCrossEntropy(), which takes logits or the output of a Sigmoid
KLDivLoss | PyTorch
    write KLDivergence()
MultiMarginLoss HingeEmbeddingLoss | PyTorch
    write HingeLoss()
CosineEmbeddingLoss | PyTorch
    write CosineSimilarityLoss()
TripletMarginLoss | PyTorch
    write TripletLoss()
GaussianNLLLoss | PyTorch
    write GaussianNLL()
ModuleList ModuleDict ParameterList ParameterDict | PyTorch
    set a plain list or dict as an attribute: what it holds is found
Dropout1d Dropout2d AlphaDropout | PyTorch
    write Dropout(p)
AdaptiveAvgPool1d AdaptiveAvgPool2d | PyTorch
    write GlobalAveragePool(), which is that of size 1
TransformerEncoderLayer TransformerDecoderLayer TransformerEncoder TransformerDecoder Transformer
| PyTorch
    write a Module of MultiheadAttention(width, heads), LayerNorm(width) and two Linear layers
InstanceNorm1d InstanceNorm2d | PyTorch
    write GroupNorm(channels, channels), a group for each channel
ZeroPad2d ConstantPad2d ReflectionPad2d ReplicationPad2d | PyTorch
    write a function of np.pad, which takes Tensors; Sequential takes functions
Conv3d ConvTranspose1d ConvTranspose3d MaxPool3d AvgPool3d BatchNorm3d | PyTorch
    it is not here; there are Conv1d, Conv2d, ConvTranspose2d and their pools
LazyLinear | PyTorch
    write Linear(inputs, outputs)
Dense | Keras, JAX
    write Linear(inputs, outputs), and the activation after it
Unflatten | PyTorch
    write lambda x: x.reshape(-1, 1, 20, 20); Sequential takes functions
PReLU Hardtanh ReLU6 Mish CELU SELU Softsign Hardswish | PyTorch
    write it as a function in NumPy; Sequential takes functions, as lambda x: np.clip(x, -1, 1)
parameter utils | PyTorch
    write Tensor(values, requires_grad=True); optimisers clip gradients by clip_norm=
relu sigmoid softmax gelu | JAX
    write autonn.{word}
tanh | JAX
    write np.tanh, which takes Tensors
"""

FUNCTIONAL = """
relu leaky_relu elu gelu silu softplus sigmoid softmax log_softmax one_hot | PyTorch
    write autonn.{word}
logsigmoid | PyTorch
    write autonn.log_sigmoid
tanh pad | PyTorch
    write np.{word}, which takes Tensors
cross_entropy nll_loss | PyTorch
    write SoftmaxCrossEntropy()(logits, classes)
mse_loss | PyTorch
    write MeanSquaredError()(predictions, targets)
smooth_l1_loss huber_loss | PyTorch
    write HuberLoss()(predictions, targets)
l1_loss | PyTorch
    write np.mean(np.abs(predictions - targets))
binary_cross_entropy binary_cross_entropy_with_logits | PyTorch
    write SigmoidCrossEntropy()(logits, targets)
kl_div | PyTorch
    write KLDivergence()(predictions, targets)
linear | PyTorch
    write x @ weight.T + bias
conv1d conv2d conv_transpose2d max_pool1d max_pool2d avg_pool1d avg_pool2d | PyTorch
    write nn.{word}, of autonn
dropout | PyTorch
    write a Dropout(p), which knows when it is trained
normalize | PyTorch
    write x / np.linalg.norm(x, axis=-1, keepdims=True)
scaled_dot_product_attention | PyTorch
    write a MultiheadAttention(width, heads)
layer_norm batch_norm embedding interpolate | PyTorch
    write the layer: LayerNorm, BatchNorm, Embedding, Upsample
"""

INIT = """
xavier_uniform_ xavier_uniform glorot_uniform_ | PyTorch, JAX
    write Linear(4, 8, weight=nn.init.glorot_uniform), which is what it has anyway
kaiming_uniform_ | PyTorch
    write Linear(4, 8, weight=nn.init.he_uniform)
kaiming_normal_ | PyTorch
    write Linear(4, 8, weight=nn.init.he_normal)
normal_ | PyTorch
    write Linear(4, 8, weight=nn.init.normal), or set layer.weight.data
uniform_ | PyTorch
    write Linear(4, 8, weight=nn.init.uniform(limit))
zeros_ | PyTorch
    write Linear(4, 8, weight=nn.init.zeros)
orthogonal_ | PyTorch
    write Linear(4, 8, weight=nn.init.orthogonal)
trunc_normal_ | PyTorch
    write Linear(4, 8, weight=nn.init.truncated_normal(deviation))
constant_ ones_ | PyTorch
    write layer.weight.data[...] = value
"""

OPTIM = """
lr_scheduler | PyTorch
    the learning rate may be a schedule, a function of the step:
    optim.SGD(lr=optim.step_decay(...)), optim.cosine, optim.one_cycle, optim.warm_up
StepLR MultiStepLR ExponentialLR | PyTorch
    write optim.SGD(lr=optim.step_decay(...))
CosineAnnealingLR | PyTorch
    write optim.SGD(lr=optim.cosine(...))
OneCycleLR | PyTorch
    write optim.SGD(lr=optim.one_cycle(...))
adam | JAX
    write optim.Adam()
adamw | JAX
    write optim.AdamW()
rmsprop | JAX
    write optim.RMSprop()
Adagrad Adadelta Adamax NAdam Nadam RAdam Lion Ftrl | PyTorch, Keras
    take optim.Adam, optim.AdamW, optim.RMSprop or optim.SGD, or write a StepOptimizer
chain apply_updates | JAX
    optimisers have clip_norm=, weight_decay= and schedules, and change the parameters themselves
swa_utils | PyTorch, Keras
    write fit(..., average=optim.SWA()) or optim.EMA(0.999)
"""

TRAINING = """
EarlyStopping ModelCheckpoint | Keras
    fit has patience= and checkpoint=
accuracy_score | scikit-learn
    write training.accuracy(model, X, y)
Trainer | Lightning
    write fit(model, X, y, loss=..., optimizer=...)
"""

DATA = """
DataLoader TensorDataset Dataset | PyTorch
    give fit the arrays and batch_size=, or as X what yields batches (x, y), a DataLoader of
    PyTorch's among them
random_split train_test_split | PyTorch, scikit-learn
    write data.split(X, y, test=1000, rng=0)
mnist MNIST load_data | Keras, PyTorch
    write load_digits(), or data.load_images of the files
"""

PLOTS = """
plt pyplot | Matplotlib
    write import matplotlib.pyplot as plt; what plots gives is a figure: figure.savefig("x.png")
show | Matplotlib
    a figure is shown where it is a notebook's last value; elsewhere write figure.savefig("x.png")
"""

RANDOM = """
PRNGKey key split fold_in | JAX
    write rng = np.random.default_rng(seed), and give it: random.normal(rng, shape)
seed default_rng RandomState set_seed | NumPy, Keras
    nothing draws from a global generator here; write rng = np.random.default_rng(seed)
rand randn randint random choice permutation | NumPy
    write np.random.default_rng(seed) and its methods
"""

OF_MODULES = {
    "autonn": AUTONN,
    "autonn.nn": NN,
    "autonn.nn.functional": FUNCTIONAL,
    "autonn.nn.init": INIT,
    "autonn.optim": OPTIM,
    "autonn.training": TRAINING,
    "autonn.data": DATA,
    "autonn.plots": PLOTS,
    "autonn.random": RANDOM,
}
