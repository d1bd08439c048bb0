"""pandas in, a plot out: `npx offshoot run -t data --out plot.png:. examples/plot.py`."""
import matplotlib.pyplot as plt
import pandas as pd

frame = pd.DataFrame({"day": range(7), "sold": [3, 5, 4, 8, 9, 14, 12]})
frame.plot(x="day", y="sold", title="A week")
plt.savefig("plot.png")
print(frame.sold.describe().round(2).to_string())
