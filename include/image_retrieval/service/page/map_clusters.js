/** The list of clusters beside a map: the same regions, for keyboards and screen readers, and a way into each. */

import { showPicture } from "./api.js";
import { make } from "./dom.js";
import { count, t } from "./language.js";

/** @typedef {import("./map_points.js").Cluster} Cluster */

/** @param {Cluster} cluster @returns {string} what its images have in common, in words */
export const nameOf = ({ words, place }) => words.join(" · ") || t("Cluster {number}", { number: place + 1 });

/** @param {Cluster[]} clusters of which each gets its place among the parts of the same one */
export function numberClusters(clusters) {
  /** @type {Map<number | null, number>} */
  const next = new Map();
  for (const cluster of clusters) {
    cluster.place = next.get(cluster.parent) ?? 0;
    next.set(cluster.parent, cluster.place + 1);
  }
}

/**
 * @param {string} collection
 * @param {Cluster[]} clusters
 * @param {(id: string) => void} onSearch
 * @param {(cluster: Cluster | null) => void} onShow null: all of them
 */
export function makeClusterList(collection, clusters, onSearch, onShow) {
  const element = make("nav", { class: "map-clusters", "aria-label": t("Clusters") });
  const byNumber = new Map(clusters.map((cluster) => [cluster.number, cluster]));

  /** @param {Cluster} cluster */
  const item = (cluster) => {
    const picture = make("img", { alt: "", loading: "lazy" });
    if (cluster.image_id !== null) showPicture(picture, collection, cluster.image_id, "preview");
    const images = cluster.images === 1 ? t("1 image") : t("{images} images", { images: count(cluster.images) });
    const go = () => {
      show(cluster);
      onShow(cluster);
      element.querySelector("button")?.focus();
    };
    return make("li", {}, make("button", { type: "button", class: "cluster", onclick: go }, picture,
      make("span", {}, make("strong", { text: nameOf(cluster) }), make("small", { text: images }))));
  };

  /** @param {Cluster | null} cluster whose parts are listed */
  function show(cluster) {
    const parts = clusters.filter(({ parent, images }) => parent === (cluster?.number ?? null) && images);
    const list = make("ul", {}, ...parts.map(item));
    if (!cluster) {
      element.replaceChildren(make("h2", { text: t("Clusters") }), list);
      return;
    }
    const above = cluster.parent === null ? null : byNumber.get(cluster.parent) ?? null;
    const back = () => {
      show(above);
      onShow(above);
      element.querySelector("button")?.focus();
    };
    const { image_id: typical } = cluster;
    element.replaceChildren(
      make("button", { type: "button", class: "plain back", text: `‹ ${above ? nameOf(above) : t("All clusters")}`, onclick: back }),
      make("h2", { text: nameOf(cluster) }),
      typical === null ? "" : make("button", { type: "button", class: "plain", text: t("More like its typical image"), onclick: () => onSearch(typical) }),
      list,
    );
  }

  show(null);
  return { element, show };
}
