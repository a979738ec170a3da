// All of the page can be read without this: it shows what is under the pointer at once, sorts tables,
// and finds crates.
(function () {
  'use strict';
  var tip = document.getElementById('tip');
  document.querySelectorAll('.u').forEach(function (unit) {
    var title = unit.querySelector('title');
    unit.tip = title.textContent;
    title.remove();
  });
  document.addEventListener('mousemove', function (event) {
    var unit = event.target.closest ? event.target.closest('.u') : null, x, y;
    if (!unit) {
      tip.style.display = 'none';
      return;
    }
    tip.textContent = unit.tip;
    tip.style.display = 'block';
    x = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    y = event.clientY + 18;
    if (y + tip.offsetHeight > window.innerHeight) {
      y = event.clientY - tip.offsetHeight - 10;
    }
    tip.style.left = Math.max(x, 4) + 'px';
    tip.style.top = Math.max(y, 4) + 'px';
  });

  function value(row, column) {
    var cell = row.cells[column], n = cell.getAttribute('data-v');
    return n === null ? cell.textContent : Number(n);
  }
  document.querySelectorAll('table.sortable th').forEach(function (head) {
    head.setAttribute('data-sort', '');
    head.addEventListener('click', function () {
      var body = head.closest('table').tBodies[0], column = head.cellIndex, now, sign;
      now = head.getAttribute('aria-sort') || (head.className === 'n' ? 'ascending' : 'descending');
      sign = now === 'ascending' ? -1 : 1;
      Array.from(head.parentNode.cells).forEach(function (other) {
        other.removeAttribute('aria-sort');
      });
      head.setAttribute('aria-sort', sign === 1 ? 'ascending' : 'descending');
      Array.from(body.rows).map(function (row) {
        return [value(row, column), row];
      }).sort(function (a, b) {
        return sign * (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
      }).forEach(function (pair) {
        body.appendChild(pair[1]);
      });
    });
  });

  var place = document.getElementById('find');
  if (place) {
    var input = document.createElement('input');
    input.type = 'search';
    input.placeholder = 'Find a crate';
    input.setAttribute('aria-label', 'Find a crate');
    place.appendChild(input);
    input.addEventListener('input', function () {
      var word = input.value.toLowerCase();
      document.querySelectorAll('.u').forEach(function (unit) {
        unit.classList.toggle('dim', word !== '' && unit.tip.toLowerCase().indexOf(word) < 0);
      });
      document.querySelectorAll('#units tbody tr').forEach(function (row) {
        row.hidden = word !== '' && row.textContent.toLowerCase().indexOf(word) < 0;
      });
    });
  }
}());
