/** Lower case without accents, for comparing. */
export function fold(text) {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}

/** Recipes whose title or ingredients hold every word of the query. */
export function search(recipes, query) {
  const words = fold(query).split(/\s+/).filter(Boolean);
  return recipes.filter((recipe) => {
    const text = fold([recipe.title, ...recipe.ingredients.map((i) => i.name)].join(' '));
    return words.every((word) => text.includes(word));
  });
}
