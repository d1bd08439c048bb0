# pandas: frames, groups, joins, CSV, pickles, time series.
# image: science
# slow: yes
# timeout: 300
import io, numpy as np, pandas as pd
print(pd.__version__)
rng = np.random.default_rng(1)
df = pd.DataFrame({'key': rng.integers(0, 50, 100000), 'x': rng.normal(size=100000), 's': rng.choice(['a', 'b', 'c'], 100000)})
print(df.describe().round(6))
print(df.groupby(['s', 'key'])['x'].agg(['mean', 'std', 'count']).head().round(6))
df.to_csv('f.csv', index=False)
back = pd.read_csv('f.csv')
print(np.allclose(back.x, df.x), back.dtypes.to_dict())
print(pd.merge(df.head(1000), df.groupby('key').x.sum().rename('total').reset_index(), on='key').total.sum().round(4))
df.to_pickle('p.gz')
print(pd.read_pickle('p.gz').equals(df))
print(df.pivot_table(index='s', columns=df.key % 3, values='x', aggfunc='sum').round(5))
ts = pd.Series(range(1000), pd.date_range('2020-01-01', periods=1000, freq='h'))
print(ts.resample('W').mean().head(3), ts.rolling(5).mean().tail(2), ts.tz_localize('UTC').tz_convert('Europe/Berlin').index[0])
print(pd.read_json(io.StringIO(df.head(3).to_json())).round(4).to_string(), pd.read_html if False else '', df.s.str.upper().value_counts().sort_index().to_dict(), pd.cut(df.x, 4).value_counts().sum(), df.sort_values(['key', 'x']).iloc[[0, -1]].round(6).to_string())
print(df.corr(numeric_only=True).round(8))
print(df.query('key > 25 and x < 0').shape, df.eval('x * 2 + key').sum().round(4), df.memory_usage(deep=True).sum())
