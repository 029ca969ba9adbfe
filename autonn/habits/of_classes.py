"""Words that are asked of Tensors, models, optimisers and histories, as ``x.view``.

The entries are those of `of_modules`.
"""

from __future__ import annotations

TENSOR = """
view | PyTorch
    write x.reshape(shape)
view_as reshape_as | PyTorch
    write x.reshape(y.shape)
permute | PyTorch
    write x.transpose(axes)
t | PyTorch
    write x.T
unsqueeze | PyTorch
    write np.expand_dims(x, axis) or x[:, None]
numel nelement | PyTorch
    write x.size
dim | PyTorch
    write x.ndim
float double half to_float | PyTorch
    write x.astype(np.float32) or np.float64
int long bool | PyTorch
    write x.astype(int), or x.numpy()
to | PyTorch
    write x.astype(dtype); autonn computes on the CPU, in NumPy
cuda cpu gpu device is_cuda | PyTorch
    leave it out: autonn computes on the CPU, in NumPy
type type_as | PyTorch
    write x.dtype and x.astype(dtype)
clone | PyTorch
    write x.copy(), or x.detach()
new_zeros new_ones new_tensor new_full | PyTorch
    write np.zeros(shape, x.dtype), or Tensor(...) of it
contiguous | PyTorch
    leave it out
expand expand_as repeat_interleave | PyTorch
    write np.broadcast_to or np.repeat
add_ sub_ mul_ div_ copy_ fill_ zero_ clamp_ addcmul_ uniform_ normal_ | PyTorch
    write to the values of a leaf: x.data += 1, x.data[...] = values
requires_grad_ | PyTorch
    write x.requires_grad = True
retain_grad | PyTorch
    write gradients(y, [x]), which gives those of results too
register_hook | PyTorch
    write gradients(y, [x]) and look at it
grad_fn | PyTorch
    see plots.computation_graph(x), and autonn.engine.lineage
detach_ | PyTorch
    write x.detach()
add sub mul div pow neg | PyTorch
    write x + y, x - y, x * y, x / y, x ** p, -x
mm bmm matmul | PyTorch
    write x @ y
abs exp log sqrt sin cos tanh square sign floor ceil isnan isinf log1p expm1 flip roll tile outer
median count_nonzero | PyTorch, JAX
    write np.{word}(x)
sigmoid softmax log_softmax relu logsumexp | PyTorch
    write autonn.{word}(x)
clamp | PyTorch
    write x.clip(low, high)
norm | PyTorch
    write np.linalg.norm(x)
eq ne lt le gt ge | PyTorch
    write x == y, x < y and so on
masked_fill masked_fill_ | PyTorch
    write np.where(mask, value, x)
scatter_ scatter index_add_ index_put_ | PyTorch
    write x.at[places].set(values), or .add
gather index_select | PyTorch
    write np.take_along_axis(x, places, axis), or x[places]
topk | PyTorch
    write np.sort(x, axis), or x.argsort()
sort | PyTorch, NumPy
    write np.sort(x, axis), which gives a new one
chunk split unbind | PyTorch
    write np.split(x, parts, axis), or slices of x
eval | TensorFlow
    write x.numpy()
block_until_ready | JAX
    leave it out: it is there
fill put resize itemset | NumPy
    a Tensor is not changed in place; write x.data[...] = value of a leaf, or x.at[...].set(value)
values to_numpy | pandas
    write x.numpy()
trainable | Keras
    write x.requires_grad = False
"""

MODULE = """
fit | Keras, scikit-learn
    write fit(model, X, y, loss=..., optimizer=...), a function of autonn; or take
    autonn.sklearn.NetClassifier
compile | Keras
    give loss= and optimizer= to fit(model, X, y, ...); compile(model) is a function of autonn
evaluate | Keras
    write training.accuracy(model, X, y), or loss(model.predict(X), y)
score | scikit-learn
    write training.accuracy(model, X, y), or take autonn.sklearn.NetClassifier
predict_proba predict_classes | scikit-learn, Keras
    write model.predict(X), which is what the last module gives, and .argmax(1) for classes; or
    take autonn.sklearn.NetClassifier
predict_on_batch train_on_batch | Keras
    write model.predict(X), and train_step(model, loss, optimizer)
to cuda cpu gpu device | PyTorch
    leave it out: autonn computes on the CPU, in NumPy; model.astype(np.float32) changes the
    numbers
half float double bfloat16 | PyTorch
    write model.astype(np.float32) or np.float64
apply | PyTorch
    write for name, module in model.named_modules(): ...
register_buffer | PyTorch
    write self.name = Tensor(values): what requires no gradient is a buffer
register_parameter | PyTorch
    write self.name = Tensor(values, requires_grad=True)
register_module add_module | PyTorch
    write self.name = module
register_forward_hook register_full_backward_hook | PyTorch
    write a Lambda between the modules, or a forward of your own
add append extend insert pop | Keras, PyTorch
    give the modules at once, Sequential(Linear(4, 8), ReLU()), or in a list; Sequential(*model,
    more) makes a longer one
save | Keras
    write save_weights(model, "model.npz")
save_weights load_weights | Keras
    write {word}(model, "model.npz"), a function of autonn
load | Keras
    write load_weights(model, "model.npz")
count_params num_parameters | Keras
    write sum(p.size for p in model.parameters())
get_weights | Keras
    write model.state_dict(), arrays by name
set_weights | Keras
    write model.load_state_dict(arrays by name)
layers | Keras
    write list(model.children()), or model[0] of a Sequential
get_layer get_submodule | Keras, PyTorch
    write model.name, model[0] of a Sequential, or dict(model.named_modules())[name]
modules | PyTorch
    write for name, module in model.named_modules(): ...
named_children | PyTorch
    write model.children(), which gives names and modules
trainable | Keras
    freeze by for p in model.parameters(): p.requires_grad = False
requires_grad requires_grad_ | PyTorch
    write for p in model.parameters(): p.requires_grad = False
trainable_weights trainable_variables variables | Keras
    write model.parameters()
non_trainable_weights | Keras
    write model.buffers()
get_config to_json from_config | Keras
    write save_model(model, "model.npz") and load_model("model.npz"); its weights are
    model.state_dict()
input_shape output_shape build | Keras
    layers are told their sizes, as Linear(4, 8).inputs
call | Keras
    write forward(x), and model(x)
in_features out_features | PyTorch
    write layer.inputs and layer.outputs
kernel | Keras, JAX
    write layer.weight, (outputs, inputs)
loss optimizer metrics | Keras
    give {word}= to fit
init | JAX
    a model has its parameters once it is made; see functional_call for one as a function of them
clone | Keras
    write copy.deepcopy(model)
share_memory | PyTorch
    leave it out
get_params set_params | scikit-learn
    take autonn.sklearn.NetClassifier(network=...), which has them
coef_ coefs_ | scikit-learn
    write model[0].weight.numpy(), or model.state_dict()
"""

OPTIMIZER = """
step | PyTorch
    write optimizer.minimize(cost, 50), of a function without arguments that gives the cost
param_groups add_param_group | PyTorch
    write optimizer.lr; for groups, optim.groups(optim.Adam(), {"*.bias": {"lr": 0.1}})
learning_rate | Keras
    write optimizer.lr
apply_gradients | Keras
    write optimizer.apply(gradients), in the order of the parameters
update init | JAX
    write optimizer.apply(gradients), which changes the parameters
state | PyTorch
    write optimizer.state_dict()
betas | PyTorch
    write optimizer.beta1 and optimizer.beta2
compile | Keras
    give it to fit(model, X, y, loss=..., optimizer=...)
get_config | Keras
    write optimizer.get_params()
"""

HISTORY = """
history | Keras
    write history.cost, history.accuracy, history.validation_cost, history.validation_accuracy and
    history.metrics
epoch | Keras
    write range(len(history))
params model | Keras
    fit returns the history alone; the model is the one that you gave it
loss loss_ losses | Keras
    write history.cost
val_loss | Keras
    write history.validation_cost
acc | Keras
    write history.accuracy
val_accuracy val_acc | Keras
    write history.validation_accuracy
loss_curve_ | scikit-learn
    write history.cost
"""

OF_CLASSES = {
    "Tensor": TENSOR,
    "Module": MODULE,
    "Optimizer": OPTIMIZER,
    "History": HISTORY,
}
