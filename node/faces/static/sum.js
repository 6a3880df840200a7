// The sum line of the review page: counts what is switched on and the chosen days.
const sum = document.getElementById("sum");
const form = document.getElementById("review");
const most = sum.textContent.match(/\d+(?=\D*$)/)[0];
function show() {
  const days = form.querySelector('input[name="days"]:checked');
  const on = form.querySelectorAll('input[name="optional"]:checked').length;
  const values = { n: Number(sum.dataset.required) + on, days: days.value, most };
  sum.textContent = sum.dataset.pattern.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
form.addEventListener("change", show);
show();
