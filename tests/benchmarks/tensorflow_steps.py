"""TensorFlow: a Keras model and optimizer, the whole step in one tf.function; as tensorflow-xla, by XLA."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from protocol import Task, first_parameters, measure, mnist, task, test_result
from workloads import Workload


def build(workload: Workload) -> keras.Model:
    model = keras.Sequential([keras.Input((workload.sizes[0],))])
    for layer, units in enumerate(workload.sizes[1:]):
        activation = workload.activation if workload.is_activated(layer) else None
        model.add(keras.layers.Dense(units, activation))
    model.set_weights([array for layer in first_parameters(workload) for array in layer])
    return model


def optimizer_of(workload: Workload) -> keras.optimizers.Optimizer:
    match workload.optimizer:
        case "sgd":
            return keras.optimizers.SGD(workload.learning_rate)
        case "adam":
            return keras.optimizers.Adam(workload.learning_rate, epsilon=1e-8)
    # Keras adds epsilon under the root.
    return keras.optimizers.RMSprop(workload.learning_rate, rho=0.9, epsilon=1e-16)


def run(task: Task) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    workload = task.workload
    train_x, train_y, test_x, test_y = mnist(task.data)
    model, optimizer = build(workload), optimizer_of(workload)
    optimizer.build(model.trainable_variables)
    images, labels = tf.constant(train_x), tf.constant(train_y)

    @tf.function(jit_compile=task.side == "tensorflow-xla")
    def update(batch: tf.Tensor) -> tf.Tensor:
        x = tf.gather(images, batch)
        with tf.GradientTape() as tape:
            out = model(x, training=True)
            if workload.reconstruct:
                loss = tf.reduce_mean(tf.square(out - x))
            else:
                y = tf.gather(labels, batch)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, out))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def step(batch: tf.Tensor) -> float:
        return float(update(batch))

    def result() -> float:
        return test_result(workload, model(test_x).numpy(), test_x, test_y)

    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    measure(task, step, result, versions, place=tf.constant)


run(task())
