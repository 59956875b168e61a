/** Follows Airflow's light or dark theme inside its frame; alone, the style sheet follows the system. */

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
