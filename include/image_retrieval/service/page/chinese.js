/** The Chinese of each English text of the page. @type {Record<string, string>} */
export const CHINESE = {
  "Searching …": "搜索中……",
};
