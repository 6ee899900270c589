import { renderRecipe } from './render.js';
import { search } from './search.js';

const list = document.getElementById('recipes');
const empty = document.getElementById('empty');
const query = document.getElementById('query');

const response = await fetch('data/recipes.json');
const recipes = await response.json();

function show() {
  const found = search(recipes, query.value);
  list.innerHTML = found.map(renderRecipe).join('');
  empty.hidden = found.length > 0;
}

query.addEventListener('input', show);
show();
