"""What people who come from other libraries try first: code of one line, by library."""

from __future__ import annotations

import builtins
import re
from typing import Any

import numpy as np

import autonn

TORCH = r"""
an.nn.Linear(4, 8)
from autonn import nn, Linear; nn.Linear
an.nn.Sequential, an.nn.ReLU()
an.tensor([1.0, 2.0])
an.zeros(3), an.randn(2, 2)
an.randn(2, 2)
Tensor([1, 2], requires_grad=True)
Tensor(np.arange(3), requires_grad=True)
x.numpy(), x.detach().numpy(), x.sum().item()
x.item()
x.mean(dim=1)
x.sum(dim=0, keepdim=True)
x.max(dim=1)
x.view(-1)
x.size(0)
x.size()
x.reshape(-1), x.T, x.squeeze()
x.t()
x.unsqueeze(0)
x.permute(1, 0)
x.float()
x.to('cuda')
x.cuda()
x.backward()
y = (x**2).sum(); y.backward(); y.backward()
y = (x**2).sum(); y.backward(retain_graph=True)
x.add_(1)
x += 1
x[0, 0] = 5.0
x.requires_grad_()
optim.Adam(model.parameters(), lr=0.01)
optim.SGD(model.parameters(), 0.1)
optim.Adam(0.01)
optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-4)
optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
optim.lr_scheduler.StepLR
o = optim.SGD(model.parameters(), lr=.1); o.zero_grad(); loss(model(X), y).backward(); o.step()
gradients(loss(model(X), y), model.parameters(), create_graph=True)
an.nn.TransformerEncoderLayer(8, 2)
an.nn.InstanceNorm2d(3)
an.nn.Conv3d(1, 1, 3)
model.state_dict()
model.load_state_dict({})
an.save(model, 'm.npz')
an.load('m.npz')
an.save_weights
model.save_weights('m.npz')
for name, p in model.named_parameters(): name, p.shape
for name, b in model.named_buffers(): name, b.shape
model.parameters()[0].shape
sum(p.numel() for p in model.parameters())
list(model.children())[0]
model.train(), model.training, model.eval()
model.to('cpu')
model.half()
model.double()
model.apply(print)
model.register_buffer('a', np.ones(3))
an.nn.functional.relu(x)
an.cross_entropy(model(X), y)
an.nn.CrossEntropyLoss()(model(X), y)
CrossEntropy()(model(X), y)
an.nn.MSELoss
with an.no_grad(): model(X).requires_grad
an.autograd.grad(x.sum(), x)
an.manual_seed(0)
an.nn.Dropout(0.5), an.nn.BatchNorm1d(8), an.nn.Conv2d(1, 8, 3), an.nn.Embedding(10, 4)
an.nn.LayerNorm(8)
an.nn.Parameter(np.ones(3))
an.Parameter(np.ones(3))
an.DataLoader
an.argmax(model(X), dim=1)
model(X).argmax(1)
model(X).argmax(dim=1)
(model(X).argmax(axis=1) == y).mean()
an.matmul(x, x)
an.softmax(x, dim=1)
an.compile(model)(X).shape
an.stack([x, x])
an.cat([x, x])
np.concatenate([x, x]).shape
np.asarray(x)
float(x.sum())
plots.plt.plot(x)
from autonn import DataLoader
from autonn.nn import CrossEntropyLoss, MSELoss
import autonn.nn.functional as F; F.cross_entropy(model(X), y)
F = an.nn.functional; F.softmax(x, dim=1)
an.nn.init.xavier_uniform_(model[0].weight)
an.nn.ModuleList([model[0]])
an.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
an.nn.Linear(in_features=4, out_features=8)
an.nn.ReLU(inplace=True)
an.nn.Linear(4, 8, device='cuda')
x.clone()
x.masked_fill(x > 0, 0.0)
x.norm()
x.exp()
x.relu()
x.dim()
x.expand(3, 2, 2)
x.gather(1, x)
x.retain_grad()
x.cumsum(dim=1)
x.squeeze(dim=0)
model[0].modules()
model.requires_grad_(False)
model.requires_grad = False
model.add_module('a', model)
model.named_children()
optim.SGD(lr=0.1).param_groups
optim.lr_scheduler.CosineAnnealingLR
optim.Adagrad(model.parameters())
an.utils.data.DataLoader
an.nn.BCEWithLogitsLoss()
SoftmaxCrossEntropy(weight=np.ones(3))
SoftmaxCrossEntropy(reduction='sum')
an.cuda.is_available()
an.device('cuda')
an.nn.ModuleDict({})
x.std(unbiased=False)
x.new_zeros(3)
model.load_state_dict(model.state_dict(), strict=True)
model.zero_grad(set_to_none=True)
adam.zero_grad(set_to_none=True)
model[0].in_features
an.nn.Linear(4, 8, True)
an.nn.Softmax(dim=1)
an.nn.LSTM(4, 8, batch_first=True)
an.nn.LSTM(input_size=4, hidden_size=8, num_layers=2)
an.nn.MultiheadAttention(embed_dim=8, num_heads=2)
an.nn.Embedding(num_embeddings=3, embedding_dim=2)
an.one_hot(y, num_classes=3)
an.compile(model, mode='max-autotune')
attention(Z, Z, Z, attn_mask=np.ones((3, 3), bool))
attention(Z, Z, Z, key_padding_mask=np.ones((2, 3), bool))
attention(Z, Z, Z, need_weights=False)
attention(Z, Z, Z, need_weights=True, average_attn_weights=False)
attention(Z, is_causal=True)
an.LSTM(4, 8)(Z, hx=None)
an.GRUCell(4, 8)(X, hx=None)
an.ConvTranspose2d(1, 1, 2)(np.ones((1, 1, 3, 3)), output_size=(5, 5))
loss(input=model(X), target=y)
loss(model(X), target=y)
an.save_weights(model.state_dict(), 'm.npz')
an.data.batches(X, y, batch_size=10)
"""

KERAS = r"""
an.Dense(8, activation='relu')
Layer(4, 8, activation='relu')
Layer(8)
Sequential([Layer(4, 8), ReLU()])
Sequential([Layer(4, 8), np.tanh])
Sequential().add(Layer(4, 8))
model.compile(optimizer='adam', loss='mse', metrics=['accuracy'])
model.fit(X, y, epochs=2, batch_size=10, validation_split=0.2)
fit(model, X, y, loss=loss, optimizer=adam, epochs=2).cost
fit(model, X, y, epochs=2)
fit(model, X, y, loss='cross_entropy', optimizer='adam')
fit(model, X, y, loss='sparse_categorical_crossentropy', optimizer='rmsprop')
fit(model, X, y, loss='mae', optimizer='adam')
fit(model, X, y, loss='mse', optimizer='sgd')
fit(model, X, y, loss=SoftmaxCrossEntropy, optimizer=adam)
fit(model, X, y, loss=loss, optimizer=optim.Adam)
fit(model, X, y, loss, adam)
fit(model, X, y, loss=loss, optimizer=adam, validation_data=(X, y))
fit(model, X, y, loss=loss, optimizer=adam, validation_split=0.2)
fit(model, X, y, loss=loss, optimizer=adam, verbose=1)
fit(model, X, y, loss=loss, optimizer=adam, class_weight={0: 1.0, 1: 2.0, 2: 1.0})
fit(model, X, y, loss=loss, optimizer=adam, class_weight='balanced')
fit(model, X, y, loss=loss, optimizer=adam).history
fit(model, X, y, loss=loss, optimizer=adam, shuffle=True)
model.evaluate(X, y)
model.predict(X).shape
model.summary()
model.count_params()
model.get_weights()
model.layers
model.save('m.keras')
model.trainable = False
model[0].weight = np.zeros((8, 4))
model[0].trainable = False
optim.Adam(learning_rate=0.01)
optim.SGD(learning_rate=0.01)
optim.Adam(beta_1=0.9)
adam.learning_rate = 0.1
an.callbacks.EarlyStopping(patience=3)
an.losses.CategoricalCrossentropy()
an.metrics.Accuracy()
an.layers.Dense(8)
an.models.Sequential()
an.optimizers.Adam()
an.datasets.mnist.load_data()
an.to_categorical(y)
an.Conv2D(8, 3)
an.Input(shape=(4,))
an.nn.Dropout(rate=0.5)
Layer(4, 8, use_bias=False)
Layer(4, 8, kernel_initializer='he_normal')
model.trainable_weights
model.summary(X[:1])
model.get_layer('a')
model(X, training=True)
attention(Z, Z, attention_mask=np.ones((3, 3), bool), return_attention_scores=True)
attention(Z, use_causal_mask=True)
an.LSTM(4, 8)(Z, initial_state=None)
an.LSTM(4, 8)(Z, mask=np.ones((2, 3), bool))
loss(y_true=y, y_pred=model(X))
loss(model(X), y, sample_weight=np.ones(60))
model.predict(X, batch_size=10, verbose=0)
fit(model, X, y, loss=loss, optimizer=adam)['loss']
fit(model, X, y, loss=loss, optimizer=adam)['cost']
fit(model, X, y, loss=loss, optimizer=adam, callbacks=lambda history: None)
model[0].kernel
"""

SKLEARN = r"""
model.fit(X, y)
model.predict_proba(X)
model.score(X, y)
an.MLPClassifier
from autonn import MLPRegressor
fit(model, X, y, loss=loss, optimizer=adam, random_state=0)
fit(model, X, y, loss=loss, optimizer=adam, max_iter=10)
fit(model, X, y, loss=loss, optimizer=adam, sample_weight=np.ones(60))
fit(model, X, np.array(['a', 'b', 'c'])[y], loss=loss, optimizer=adam)
an.train_test_split(X, y)
an.StandardScaler()
an.data.split(X, y, test_size=0.2, random_state=0)
an.load_digits(return_X_y=True)
model.coef_
model.get_params()
optim.Adam().get_params()
"""

NUMPY_AND_JAX = r"""
an.array([1.0, 2.0])
np.array(x)
x.astype(np.float32).dtype
x.copy(), x.tolist(), x.ravel(), x.flatten(), x @ x, x.dot(x)
an.jit(lambda a: a * 2)(X)
an.vmap
grad(lambda p: (p['w'] ** 2).sum())({'w': np.ones(2)})
grad(lambda a: a ** 2)(3)
grad(lambda a: a ** 2)(3.0)
bool(x.sum() > 1)
an.numpy
an.random.PRNGKey(0)
an.jacrev(lambda a: a)
an.nn.relu(x)
optim.adam(0.01)
x.block_until_ready()
x.sort()
x.fill(0)
len(x), x.ndim, x.shape, x.dtype, x.size
"""

MATLAB = r"""
an.fmincg(lambda t: t, x)
from autonn import fminunc
an.sigmoid(0.0)
an.sigmoidGradient(0.0)
an.displayData(X)
an.bsxfun(np.subtract, X, X[0])
an.checkNNGradients()
loss(model(X), y + 1)
"""

TRIED = [
    *(("PyTorch", line) for line in TORCH.strip().splitlines()),
    *(("Keras", line) for line in KERAS.strip().splitlines()),
    *(("scikit-learn", line) for line in SKLEARN.strip().splitlines()),
    *(("NumPy and JAX", line) for line in NUMPY_AND_JAX.strip().splitlines()),
    *(("MATLAB", line) for line in MATLAB.strip().splitlines()),
]

# What Python says by itself, of what is not there; it names nothing that is.
BARE = re.compile(
    r"has no attribute '\w+'$|unexpected keyword argument|object is not (callable|iterable|sub)"
    r"|object has no attribute|cannot import name|No module named|not enough values|too many values"
    r"|name '\w+' is not defined|takes \d+ positional"
)


def surroundings() -> dict[str, Any]:
    """Return what the lines speak of, made anew."""
    names = {name: getattr(autonn, name) for name in autonn.__all__}
    rng = np.random.default_rng(0)
    model = autonn.Sequential(autonn.Layer(4, 8, rng=0), autonn.ReLU(), autonn.Layer(8, 3, rng=0))
    return names | {
        "an": autonn, "np": np, "model": model, "loss": autonn.SoftmaxCrossEntropy(),
        "attention": autonn.MultiheadAttention(4, 2, rng=0), "Z": np.ones((2, 3, 4)),
        "adam": autonn.optim.Adam(lr=0.01), "X": rng.standard_normal((60, 4)),
        "y": rng.integers(0, 3, 60), "x": autonn.Tensor([[1.0, 2.0], [3.0, 4.0]], True),
    }  # fmt: skip


def said_to(line: str) -> str:
    """Run a line, and return what its error says; empty if it works."""
    try:
        builtins.exec(line, surroundings())
    except Exception as error:
        return f"{error}"
    return ""
