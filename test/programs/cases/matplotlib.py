# matplotlib: writes a PNG, an SVG and a PDF without a display.
# image: science
# slow: yes
# timeout: 300
import os
os.environ['MPLCONFIGDIR'] = '/tmp/case/mpl'
os.environ['SOURCE_DATE_EPOCH'] = '0'
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt, numpy as np, hashlib, struct
plt.rcParams['svg.hashsalt'] = 'salt'
fig, axes = plt.subplots(2, 2, figsize=(8, 6))
x = np.linspace(0, 10, 500)
axes[0, 0].plot(x, np.sin(x), label='sine')
axes[0, 0].legend()
axes[0, 1].hist(np.random.default_rng(0).normal(size=5000), 40)
axes[1, 0].imshow(np.outer(np.sin(x), np.cos(x)))
axes[1, 1].scatter(*np.random.default_rng(1).random((2, 100)), c=range(100))
fig.suptitle('Title with $\\sqrt{\\alpha}$')
fig.tight_layout()
for kind in ('png', 'svg', 'pdf'):
    fig.savefig(f'plot.{kind}', metadata={'Date': None} if kind == 'svg' else None)
    data = open(f'plot.{kind}', 'rb').read()
    print(kind, len(data), hashlib.sha256(data).hexdigest())
print(struct.unpack('>II', open('plot.png', 'rb').read()[16:24]), plt.imread('plot.png').mean().round(6))
