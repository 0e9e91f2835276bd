"""Write the files of examples/own_data.yaml into the working directory.

python examples/own_data.py TRAIN_TSV

Digits and breast cancer are scikit-learn's, which is all that they need. TRAIN_TSV is SST-2's; its
sentences get four labels, by sentiment and length.
"""

import sys

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits

SHORT = 8  # words

digits = load_digits(as_frame=True)
images = (digits.data.to_numpy().reshape(-1, 8, 8) * 15).astype(np.uint8)
np.savez("digits.npz", x=images, y=digits.target)
digits.frame.astype(float).astype({"target": int}).to_csv("digits.csv", index=False)
load_breast_cancer(as_frame=True).frame.to_csv("cancer.csv", index=False)

sentences = pd.read_csv(sys.argv[1], sep="\t", quoting=3)
sentences["sentence"] = sentences.sentence.str.strip()
sentences = sentences.drop_duplicates("sentence").sample(frac=1, random_state=1).head(6000)
length = np.where(sentences.sentence.str.split().str.len() <= SHORT, "short", "long")
sentences["label"] = sentences.label.map({0: "negative", 1: "positive"}) + ", " + length
sentences.to_csv("sentences.csv", index=False)
