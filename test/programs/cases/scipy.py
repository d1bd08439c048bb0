# scipy: linear algebra, optimisation, integration, statistics, sparse matrices, signals, trees, special functions.
# image: science
# slow: yes
# timeout: 300
import numpy as np, scipy
from scipy import fft, integrate, interpolate, io, linalg, ndimage, optimize, signal, sparse, spatial, special, stats
import scipy.sparse.linalg as sla
rng = np.random.default_rng(2)
a = rng.normal(size=(200, 200))
print(scipy.__version__, np.allclose(a @ linalg.inv(a), np.eye(200), atol=1e-08), np.round(linalg.svdvals(a)[:3], 6), np.round(linalg.expm(a / 100)[0, :2], 6))
print(optimize.minimize(optimize.rosen, [1.3, 0.7, 0.8], method='BFGS').x.round(4), round(optimize.brentq(np.cos, 0, 3), 8), optimize.linprog([-1, -2], [[1, 1]], [4], bounds=[(0, 3), (0, 3)]).x, optimize.curve_fit(lambda x, m, c: m * x + c, np.arange(10.0), np.arange(10.0) * 2 + 1)[0].round(6))
print(np.round(integrate.quad(np.sin, 0, np.pi), 8), integrate.solve_ivp(lambda t, y: -y, (0, 5), [1.0], rtol=1e-08).y[0, -1].round(6))
m = sparse.random(2000, 2000, 0.001, random_state=3, format='csr') + sparse.eye(2000) * 5
x = sla.spsolve(m.tocsc(), np.ones(2000))
print(np.allclose(m @ x, 1), sla.eigsh(m + m.T, k=2, return_eigenvectors=False).round(5))
print(stats.norm.cdf(1.96).round(6), stats.ttest_ind(rng.normal(size=100), rng.normal(0.5, size=100)).pvalue.round(8), stats.kstest(rng.random(500), 'uniform').statistic.round(6))
tree = spatial.cKDTree(rng.random((5000, 3)))
print(tree.query([0.5, 0.5, 0.5], 3)[1], spatial.ConvexHull(rng.random((100, 2))).vertices.size, spatial.Delaunay(rng.random((50, 2))).simplices.shape)
b, c = signal.butter(4, 0.2)
print(signal.filtfilt(b, c, rng.normal(size=1000))[:3].round(6), np.abs(fft.fft(rng.normal(size=4096))).max().round(5), signal.convolve2d(rng.random((64, 64)), np.ones((3, 3))).sum().round(4))
print(special.gamma(5.5).round(6), special.jv(0, 2.4).round(8), ndimage.label(rng.random((50, 50)) > 0.6)[1], interpolate.CubicSpline(range(5), [0, 1, 0, 1, 0])(1.5).round(6))
io.savemat('m.mat', {'a': a})
print(np.array_equal(io.loadmat('m.mat')['a'], a))
