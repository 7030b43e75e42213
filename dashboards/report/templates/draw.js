"use strict";
(() => {
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // What all plots share, in the colours of the page as it is now.
  function template() {
    const [ink, soft, line, grid, card] = ["--ink", "--soft", "--line", "--grid", "--card"].map(colour);
    const size = innerWidth < 600 ? 11 : 13;
    const axis = {
      gridcolor: grid, zerolinecolor: line, linecolor: line, zeroline: false, ticks: "outside",
      tickcolor: line, ticklen: 4, title: { font: { size, color: soft }, standoff: 8 },
    };
    const bar = { tickfont: { color: soft }, title: { font: { color: soft, size } } };
    return {
      layout: {
        font: { family: getComputedStyle(document.body).fontFamily, size, color: ink },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: [ink],
        xaxis: axis, yaxis: axis, legend: { font: { size }, itemwidth: 30 }, title: { font: { color: ink } },
        hoverlabel: { bgcolor: card, font: { color: ink, size: 12 }, align: "left" },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink },
        dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      },
      data: { heatmap: [{ colorbar: bar }] },
    };
  }

  // How many entries the legend has: in a narrow window it takes about a line for each.
  const entries = data => data.filter(trace => trace.name && trace.showlegend !== false).length;

  const config = {
    displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const plots = [...document.querySelectorAll(".plot")];
  for (const plot of plots) {
    const { data, layout } = JSON.parse(document.getElementById(`${plot.id}-data`).textContent);
    if (innerWidth < 600) layout.height += 20 * Math.max(0, entries(data) - 4);
    Plotly.newPlot(plot, data, { ...layout, template: template() }, config);
  }
  for (const select of document.querySelectorAll("select[data-plot]")) {
    const plot = document.getElementById(select.dataset.plot);
    const choose = () => {
      const chosen = Number(select.value);
      Plotly.restyle(plot, { visible: plot.data.map((_, index) => index === chosen) });
    };
    select.addEventListener("change", choose);
    if (select.value !== "0") choose();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const plot of plots) Plotly.relayout(plot, { template: template() });
  });
})();
