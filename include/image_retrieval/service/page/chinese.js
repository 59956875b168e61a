/** The Chinese of each English text of the page. @type {Record<string, string>} */
export const CHINESE = {
  "Searching …": "搜索中……",
  "By pictures": "按画面",
  "By captions": "按说明文字",
  "By both": "两者结合",
  "What words are compared with": "用文字与什么比较",
  "picture": "画面",
  "words of the caption": "说明文字",
  "Found by {sides} ({scores})": "依据：{sides}（{scores}）",
};
