/** Light or dark as Airflow is, in whose frame the page stands; alone, as the system is (the style sheet's part). */

function follow() {
  const airflow = window.parent.document.documentElement;
  const take = () => {
    const theme = ["dark", "light"].find((name) => airflow.classList.contains(name));
    if (theme) document.documentElement.dataset.theme = theme;
  };
  take();
  new MutationObserver(take).observe(airflow, { attributeFilter: ["class"] });
}

if (window.parent !== window) {
  try {
    follow();
  } catch {
    // another site's frame: its theme is not ours to read
  }
}
