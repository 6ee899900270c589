const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text made safe for HTML. */
export function escapeHtml(text) {
  return text.replace(/[&<>"]/g, (c) => ENTITIES[c]);
}

/** One recipe as a list item. */
export function renderRecipe(recipe) {
  const items = recipe.ingredients
    .map((i) => `<li>${escapeHtml(`${i.amount} ${i.unit} ${i.name}`.trim())}</li>`)
    .join('');
  return `<li class="recipe"><h2>${escapeHtml(recipe.title)}</h2>` +
    `<p class="meta">${recipe.minutes} min, serves ${recipe.serves}</p><ul>${items}</ul></li>`;
}
